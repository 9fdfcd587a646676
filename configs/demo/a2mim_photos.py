"""A2MIM on photo patches: ``make demo METHOD=a2mim``.

A small ResNet fills in squares of 8 pixels. What was measured is in ``configs/a2mim/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 12
sync_bn = True

model = dict(
    type='A2MIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.25, stem='small'),
    mask_token=dict(layer='layer3', channels=64, gamma=1e-6),
    masker=dict(type='SimMIMMasker', ratio=0.5, unit_size=8, patch_size=4),
    neck=dict(type='PixelShuffleDecoder', in_channels=128, stride=8),
    target=dict(type='PixelTarget', patch_size=4, standardize=False),
    head=dict(type='A2MIMLoss', focal=True, frequency_weight=0.5, visible_weight=1e-3),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.4)]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0), custom_keys=dict(mask_token=dict(lr_mult=0.1, decay_mult=0))),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
