"""Jigsaw, ResNet-18, the 100 published permutations, 200 epochs of CIFAR-10.

    python tools/train.py configs/jigsaw/jigsaw_resnet18_1xb128-200e_cifar10.py

Cost: 78,000 steps of 128 images in nine tiles of 16 px each, on one GPU. Not measured here.
Expected: no published figure.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='Jigsaw',
    num_permutations=100,
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(type='TileNeck', in_channels=512, num_tiles=9, single=[dict(channels=128, norm='affine')]),
    head=dict(type='LinearClsHead', in_channels=1152, num_classes=100, init_std=None),
)

# The image is enlarged to 64 pixels, so a tile of 16 shows 8 of the original pixels.
_tiles = dict(
    type='TileView', size=48, crop=60, resize=64, flip=0.5, channel_jitter=1, photometric=dict(grayscale=0.66)
)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_tiles]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
