"""I-JEPA on photo patches: ``make demo METHOD=ijepa``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 12

model = dict(
    type='IJEPA',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='PatchViT',
        arch=dict(embed_dim=128, depth=4, num_heads=4),
        img_size=32,
        patch_size=4,
        position='mae',
        output='tokens',
    ),
    masker=dict(type='MultiBlockMasker', min_context=8, patch_size=4),
    neck=dict(type='JEPAPredictor', in_channels=128, grid_size=8, embed_dim=64, depth=2, num_heads=4),
    head=dict(type='SmoothL1Loss'),
    teacher=dict(momentum=0.98, schedule='linear'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.4, flip=0.0)]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=2, start_factor=0.2, end_factor=1e-3)
