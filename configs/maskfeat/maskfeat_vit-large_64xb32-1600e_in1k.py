"""MaskFeat, ViT-L/16, 1600 epochs.

    tools/dist_train.sh configs/maskfeat/maskfeat_vit-large_64xb32-1600e_in1k.py 64

Cost: 1,000,000 steps of 2048 images, all patches encoded. Not measured here.
Expected: 85.7 % fine-tuned (official README).
"""

_base_ = 'maskfeat_vit-base_64xb32-300e_in1k.py'

max_epochs = 1600
model = dict(backbone=dict(arch='large'), neck=dict(in_channels=1024))
