"""CAPI on photo patches: ``make demo METHOD=capi``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

model = dict(
    type='CAPI',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='CAPIViT', arch=dict(embed_dim=64, depth=3, num_heads=2), patch_size=4, registers=4, output='tokens'
    ),
    masker=dict(type='InverseBlockMasker', predicted=0.25, patch_size=4),
    neck=dict(type='CAPIPredictor', in_channels=64, out_channels=128, depth=2, num_heads=2),
    head=dict(type='OnlineClusterHead', in_channels=64, num_clusters=128),
    teacher=dict(momentum=0.98, schedule='truncated'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.4)]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.1)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1, peak_in_warmup=True, part=0.8)
