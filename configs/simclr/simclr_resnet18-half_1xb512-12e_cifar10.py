"""SimCLR, ResNet-18 of half the width, 12 epochs of CIFAR-10: a comparison of methods on a CPU.

    python tools/train.py configs/simclr/simclr_resnet18-half_1xb512-12e_cifar10.py

``tools/benchmarks/leaderboard.py`` ranks several such recipes. All else is that of the recipe of 200 epochs, except
the warm-up: one epoch instead of ten.
Cost: 1,164 steps of 512 image pairs of 32 px; 1,044 steps took 48 minutes of one CPU core in bfloat16.
Measured: kNN 59.5 %, linear probe 65.6 % (mean of two seeds) on 5,000 held-out images, see docs/methods/cifar10.md.
Expected: no published figure.
"""

_base_ = 'simclr_resnet18_1xb512-200e_cifar10.py'

max_epochs = 12

model = dict(backbone=dict(width=0.5), neck=dict(in_channels=256))
train_cfg = dict(val_interval=12)
param_scheduler = dict(warmup_epochs=1)
