"""BEiT, ViT-L/16, 800 epochs.

    tools/dist_train.sh configs/beit/beit_vit-large_16xb128-800e_in1k.py 16

Needs the encoder of DALL-E, https://cdn.openai.com/dall-e/encoder.pkl, in data/dalle/.
Cost: 500,000 steps of 2048 images, all patches encoded, and the tokenizer on 112 px. Not measured here.
Expected: 85.2 % fine-tuned (the paper, which pre-trains on ImageNet-1k).
"""

_base_ = 'beit_vit-base_16xb128-800e_in1k.py'

model = dict(backbone=dict(arch='large', layer_scale=1e-5), neck=dict(in_channels=1024))
