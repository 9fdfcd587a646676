"""CARE, ResNet-101, 100 epochs.

    tools/dist_train.sh configs/care/care_resnet101_8xb128-100e_in1k.py 8

Cost: 125,100 steps of 1024 image pairs; the official run used 8 GPUs of 128 pairs. Not measured here.
Expected: 73.54 % linear top-1 (official README, its own protocol: see the card).
"""

_base_ = 'care_resnet50_8xb128-100e_in1k.py'

model = dict(backbone=dict(depth=101))
