"""MoCo v3, ResNet-50, 100 epochs (base lr 0.6, m0 0.99, weight decay 1e-6).

    tools/dist_train.sh configs/mocov3/mocov3_resnet50_16xb256-100e_in1k.py 16

Cost: 31,200 steps of 4096 image pairs; the official run used 16 V100 of 32 GB. Not measured here.
Expected: 68.9 % linear top-1 (official README).
"""

_base_ = 'mocov3_resnet50_16xb256-300e_in1k.py'

max_epochs = 100
optim_wrapper = dict(optimizer=dict(lr=9.6))
