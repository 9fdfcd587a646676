"""PIRL, ResNet-50, 200 epochs: the configuration of VISSL.

    tools/dist_train.sh configs/pirl/pirl_resnet50_32xb32-200e_in1k.py 32

Cost: 250,200 steps of 1024 images with nine tiles of 64 px each, on 32 GPUs. Not measured here.
Expected: 62.55 % linear top-1 (released by VISSL; its project page has 62.9 %).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # as in VISSL

_linear = dict(type='MLPProjector', in_channels=2048, hidden_channels=None, out_channels=128, num_layers=1)
model = dict(
    type='PIRL',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(_linear, last_bias=True),
    tile_neck=dict(
        type='TileNeck',
        in_channels=2048,
        num_tiles=9,
        single=[dict(channels=128, relu=False)],
        joint=[dict(channels=128, relu=False)],
    ),
    head=dict(type='MemoryContrastLoss', temperature=0.07, kind='nce'),
    bank=dict(length=1281167, dim=128, momentum=0.5),
    num_negatives=32000,
)

_colors = dict(jitter=(0.4, 0.4, 0.4, 0.2), jitter_prob=1.0, grayscale=0.2)
_view = dict(type='AugmentedView', size=224, **_colors)
_tiles = dict(type='TileView', size=192, crop=255, min_scale=0.6, max_offset=20, flip=0.5, photometric=_colors)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view, _tiles]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True, end_factor=0.001)
auto_scale_lr = dict(base_batch_size=1024, rule='linear')
