"""Context encoder on photo patches: ``make demo METHOD=contextencoder``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 12

model = dict(
    type='ContextEncoder',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='InpaintingGenerator', in_channels=128, map_size=8, bottleneck=128, widths=(64, 32)),
    head=dict(type='InpaintingLoss', rim=2),
    discriminator=dict(type='RegionDiscriminator', size=16, widths=(32, 64)),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.5)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)),
    paramwise_cfg=dict(custom_keys={'discriminator.layers': dict(lr_mult=0.1)}),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
