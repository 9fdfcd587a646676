"""Colourisation on photo patches: ``make demo METHOD=colorization``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 20

_network = dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,))
model = dict(
    type='Colorization',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='AdaptedInput', steps=[dict(type='Lightness')], network=_network),
    neck=dict(type='ColorUpsampler', in_channels=128, width=64),  # maps of 8 x 8 become 16 x 16
    head=dict(type='RebalancedColorLoss'),
    target=dict(type='ColorTarget', stride=2),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.5)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.99), weight_decay=0.05))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
