"""MaskFeat, ViT-L/16, 300 epochs.

    tools/dist_train.sh configs/maskfeat/maskfeat_vit-large_64xb32-300e_in1k.py 64

Cost: 187,500 steps of 2048 images, all patches encoded. Not measured here.
Expected: 84.4 % fine-tuned (official repository: no figure of this length; iTPN's paper quotes this one).
"""

_base_ = 'maskfeat_vit-base_64xb32-300e_in1k.py'

model = dict(backbone=dict(arch='large'), neck=dict(in_channels=1024))
