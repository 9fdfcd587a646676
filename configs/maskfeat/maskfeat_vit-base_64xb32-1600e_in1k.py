"""MaskFeat, ViT-B/16, 1600 epochs.

    tools/dist_train.sh configs/maskfeat/maskfeat_vit-base_64xb32-1600e_in1k.py 64

Cost: 1,000,000 steps of 2048 images, all patches encoded. Not measured here.
Expected: 84.0 % fine-tuned (official README).
"""

_base_ = 'maskfeat_vit-base_64xb32-300e_in1k.py'

max_epochs = 1600
