"""SimMIM on photo patches: ``make demo METHOD=simmim``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 16

model = dict(
    type='SimMIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='BEiTViT',
        arch=dict(embed_dim=128, depth=4, num_heads=4),
        img_size=32,
        patch_size=4,
        output='maps',
        layer_scale=0.1,
    ),
    masker=dict(type='SimMIMMasker', ratio=0.6, unit_size=4, patch_size=4),
    neck=dict(type='PixelShuffleDecoder', in_channels=128, stride=4),
    target=dict(type='PixelTarget', patch_size=4, standardize=False),
    head=dict(type='MaskedL1Loss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.4, interpolation='bicubic')]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=5.0),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
