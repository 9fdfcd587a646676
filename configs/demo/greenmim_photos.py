"""GreenMIM on photo patches: ``make demo METHOD=greenmim``.

A Swin of three stages fills in squares of 8 pixels; half of each patch is encoded. What was measured is in
``configs/greenmim/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

model = dict(
    type='GreenMIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='GroupedSwin',
        name='swin_tiny_patch4_window7_224',
        img_size=32,
        patch_size=2,
        window_size=4,
        embed_dim=32,
        depths=(2, 2, 2),
        num_heads=(2, 4, 8),
    ),
    masker=dict(type='SharedMasker', ratio=0.5, patch_size=8),
    neck=dict(
        type='MAEDecoder',
        in_channels=128,
        out_channels=192,
        grid_size=4,
        embed_dim=64,
        depth=1,
        num_heads=4,
        num_prefix_tokens=0,
    ),
    target=dict(type='PixelTarget', patch_size=8, standardize=False),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.4, interpolation='bicubic')]
train_dataloader = dict(batch_size=32, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
