"""Relative location on photo patches: ``make demo METHOD=relativeloc``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 6

model = dict(
    type='RelativeLocation',
    pairs='all',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='TileNeck', in_channels=128, num_tiles=2, joint=[dict(channels=256, norm='affine')]),
    head=dict(type='LinearClsHead', in_channels=256, num_classes=8),
)

# 8-pixel tiles in 10-pixel cells of the 32-pixel patch.
_tiles = dict(type='TileView', size=24, crop=30, resize=32, photometric=dict(grayscale=0.2))
train_dataloader = dict(batch_size=32, dataset=dict(views=[_tiles]))

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
