"""MaskFeat on photo patches: ``make demo METHOD=maskfeat``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 16

model = dict(
    type='MaskFeat',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dim=128, depth=4, num_heads=4),
        img_size=32,
        patch_size=4,
        output='tokens',
    ),
    masker=dict(type='BlockwiseMasker', num_hidden=26, min_block=5, patch_size=4),
    target=dict(type='HOGTarget', patch_size=4, num_bins=9, cell_size=4),
    neck=dict(type='PatchPredictor', in_channels=128, out_channels=27),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.4, interpolation='bicubic')]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=1.0),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
