"""Relative location on photo patches: ``make demo METHOD=relativeloc``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

model = dict(
    type='RelativeLocation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='TileNeck', in_channels=128, num_tiles=2, joint=[dict(channels=256, norm='affine')]),
    head=dict(type='LinearClsHead', in_channels=256, num_classes=8),
)

# 8-pixel tiles in 10-pixel cells of the 32-pixel patch.
_tiles = dict(type='TileView', size=24, crop=30, resize=32, drop_channels=0.5)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_tiles]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
