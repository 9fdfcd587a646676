"""PIRL, ResNet-18, 200 epochs of CIFAR-10.

    python tools/train.py configs/pirl/pirl_resnet18_1xb256-200e_cifar10.py

Cost: 39,000 steps of 256 images of 32 px with nine tiles of 16 px each, on one GPU. Not measured here.
Expected: no published figure.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

_linear = dict(type='MLPProjector', in_channels=512, hidden_channels=None, out_channels=128, num_layers=1)
_unit = dict(channels=128, relu=False)
model = dict(
    type='PIRL',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(_linear, last_bias=True),
    tile_neck=dict(type='TileNeck', in_channels=512, num_tiles=9, single=[_unit], joint=[_unit]),
    head=dict(type='MemoryContrastLoss', temperature=0.07, kind='nce'),
    bank=dict(length=50000, dim=128, momentum=0.5),
    num_negatives=4096,
)

_colors = dict(jitter=(0.4, 0.4, 0.4, 0.2), jitter_prob=1.0, grayscale=0.2)
# The image is enlarged to 60 pixels, so a tile of 16 shows about 8 of the original pixels.
_tiles = dict(type='TileView', size=48, crop=60, min_scale=0.6, flip=0.5, photometric=_colors)
train_dataloader = dict(batch_size=256, dataset=dict(views=[dict(type='AugmentedView', size=32, **_colors), _tiles]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
