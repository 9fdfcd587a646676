"""MAE, ViT-L/16, 800 epochs.

    tools/dist_train.sh configs/mae/mae_vit-large_64xb64-800e_in1k.py 64

Cost: 249,600 steps of 4096 images, of which a quarter of the patches is encoded; the official runs used 64 GPUs. Not
measured here.
Expected: 85.5 % fine-tuned (official PRETRAIN.md), 73.7 % linear top-1 (mmselfsup, whose own run fine-tunes to 85.4).
"""

_base_ = 'mae_vit-base_64xb64-800e_in1k.py'

model = dict(backbone=dict(arch='large'), neck=dict(in_channels=1024))
