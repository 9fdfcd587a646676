"""DenseCL, ResNet-101, 200 epochs.

    tools/dist_train.sh configs/densecl/densecl_resnet101_8xb32-200e_in1k.py 8

Cost: 1,000,800 steps of 256 image pairs. Not measured here.
Expected: no published linear accuracy; VOC07+12 detection AP 61.3 (official README).
"""

_base_ = 'densecl_resnet50_8xb32-200e_in1k.py'

model = dict(backbone=dict(depth=101))
