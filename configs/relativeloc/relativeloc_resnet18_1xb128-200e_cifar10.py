"""Relative location, ResNet-18, 200 epochs of CIFAR-10, with channels dropped as the authors do.

    python tools/train.py configs/relativeloc/relativeloc_resnet18_1xb128-200e_cifar10.py

Cost: 78,000 steps of 128 images in eight pairs of 16-px patches each, on one GPU. Not measured here.
Expected: no published figure.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='RelativeLocation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(type='TileNeck', in_channels=512, num_tiles=2, joint=[dict(channels=512, norm='affine')]),
    head=dict(type='LinearClsHead', in_channels=512, num_classes=8),
)

# The image is enlarged to 64 pixels, so a tile of 16 shows 8 of the original pixels.
_tiles = dict(type='TileView', size=48, crop=60, resize=64, drop_channels=0.5)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_tiles]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
