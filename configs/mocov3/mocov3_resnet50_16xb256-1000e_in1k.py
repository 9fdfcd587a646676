"""MoCo v3, ResNet-50, 1000 epochs (base lr 0.3, m0 0.996, weight decay 1.5e-6).

    tools/dist_train.sh configs/mocov3/mocov3_resnet50_16xb256-1000e_in1k.py 16

Cost: 312,000 steps of 4096 image pairs; the official run used 16 V100 of 32 GB. Not measured here.
Expected: 74.6 % linear top-1 (official README).
"""

_base_ = 'mocov3_resnet50_16xb256-300e_in1k.py'

max_epochs = 1000
model = dict(teacher=dict(momentum=0.996))
optim_wrapper = dict(optimizer=dict(weight_decay=1.5e-6))
