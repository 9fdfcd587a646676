"""BEiT, ViT-B/16, 300 epochs.

    tools/dist_train.sh configs/beit/beit_vit-base_16xb128-300e_in1k.py 16

Needs the encoder of DALL-E, https://cdn.openai.com/dall-e/encoder.pkl, in data/dalle/.
Cost: 187,500 steps of 2048 images, all patches encoded, and the tokenizer on 112 px. Not measured here.
Expected: 83.1 % fine-tuned (mmselfsup, whose tokenizer sees pixels on another scale: see the card).
"""

_base_ = 'beit_vit-base_16xb128-800e_in1k.py'

max_epochs = 300
