"""PIRL on photo patches: ``make demo METHOD=pirl``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

_linear = dict(type='MLPProjector', in_channels=128, hidden_channels=None, out_channels=64, num_layers=1)
_unit = dict(channels=64, relu=False)
model = dict(
    type='PIRL',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(_linear, last_bias=True),
    tile_neck=dict(type='TileNeck', in_channels=128, num_tiles=9, single=[_unit], joint=[_unit]),
    head=dict(type='MemoryContrastLoss', temperature=0.1, kind='info_nce'),
    bank=dict(length=7200, dim=64, momentum=0.5),
    num_negatives=2048,
)

# Colour identifies a photograph, so it is jittered little.
_colors = dict(jitter=(0.1, 0.1, 0.1, 0.0))
_views = [
    dict(type='AugmentedView', size=24, min_scale=0.2, **_colors),
    dict(type='TileView', size=24, crop=30, min_scale=0.6, flip=0.5, photometric=_colors),
]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
