"""BYOL, ResNet-50, 300 epochs: the official code's preset of that length (base lr 0.3, m0 0.99, weight decay 1e-6).

    tools/dist_train.sh configs/byol/byol_resnet50_16xb256-300e_in1k.py 16

Cost: 93,600 steps of 4096 image pairs. Not measured here.
Expected: 72.5 % linear top-1 (PASSL's documentation, quoting the paper).
"""

_base_ = 'byol_resnet50_16xb256-1000e_in1k.py'

max_epochs = 300
model = dict(teacher=dict(momentum=0.99))
optim_wrapper = dict(optimizer=dict(lr=4.8, weight_decay=1e-6))
