"""Jigsaw on photo patches: ``make demo METHOD=jigsaw``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 10

model = dict(
    type='Jigsaw',
    num_permutations=100,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='TileNeck', in_channels=128, num_tiles=9, single=[dict(channels=64, norm='affine')]),
    head=dict(type='LinearClsHead', in_channels=576, num_classes=100, init_std=None),
)

# 8-pixel tiles in 10-pixel cells of the 32-pixel patch.
_tiles = dict(type='TileView', size=24, crop=30, resize=32, flip=0.5, photometric=dict(grayscale=0.3))
train_dataloader = dict(batch_size=128, dataset=dict(views=[_tiles]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
