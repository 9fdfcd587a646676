"""CAE, ViT-L/16, 1600 epochs.

    tools/dist_train.sh configs/cae/cae_vit-large_32xb64-1600e_in1k.py 32

Needs the encoder of DALL-E, https://cdn.openai.com/dall-e/encoder.pkl, in data/dalle/.
Cost: 1,000,000 steps of 2048 images. Not measured here.
Expected: 86.2 % fine-tuned, 77.8 % linear, 81.2 % attentive top-1 (official README).
"""

_base_ = 'cae_vit-base_32xb64-300e_in1k.py'

max_epochs = 1600
_wide = dict(num_heads=16, layer_scale=1e-5, init='beit')
model = dict(
    backbone=dict(arch='large', layer_scale=1e-5, init='beit'),
    neck=dict(in_channels=1024, embed_dim=1024, **_wide),
    head=dict(in_channels=1024, **_wide),
)
param_scheduler = dict(warmup_epochs=40)
