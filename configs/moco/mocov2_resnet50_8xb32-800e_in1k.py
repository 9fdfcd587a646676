"""MoCo v2, ResNet-50, 800 epochs.

    tools/dist_train.sh configs/moco/mocov2_resnet50_8xb32-800e_in1k.py 8

Cost: 4,003,200 steps of 256 image pairs; four times the official 53 h of 200 epochs on 8 V100. Not measured here.
Expected: 71.1 % linear top-1 (official README).
"""

_base_ = 'mocov2_resnet50_8xb32-200e_in1k.py'

max_epochs = 800
