"""BYOL, ResNet-50, 100 epochs: the official code's preset of that length (base lr 0.45, m0 0.99, weight decay 1e-6).

    tools/dist_train.sh configs/byol/byol_resnet50_16xb256-100e_in1k.py 16

Cost: 31,200 steps of 4096 image pairs. Not measured here.
Expected: no official figure for this length.
"""

_base_ = 'byol_resnet50_16xb256-1000e_in1k.py'

max_epochs = 100
model = dict(teacher=dict(momentum=0.99))
optim_wrapper = dict(optimizer=dict(lr=7.2, weight_decay=1e-6))
