"""MoCo v2, ResNet-18 of half the width, 12 epochs of CIFAR-10: a comparison of methods on a CPU.

    python tools/train.py configs/moco/mocov2_resnet18-half_1xb512-12e_cifar10.py

``tools/benchmarks/leaderboard.py`` ranks several such recipes. All else is that of the recipe of 200 epochs.
Cost: 1,164 steps of 512 image pairs of 32 px; 1,044 steps took 33 minutes of one CPU core in bfloat16.
Measured: kNN 52.4 %, linear probe 55.2 % (mean of two seeds) on 5,000 held-out images, see docs/methods/cifar10.md.
Expected: no published figure.
"""

_base_ = 'mocov2_resnet18_1xb512-200e_cifar10.py'

max_epochs = 12

model = dict(backbone=dict(width=0.5), neck=dict(in_channels=256))
train_cfg = dict(val_interval=12)
