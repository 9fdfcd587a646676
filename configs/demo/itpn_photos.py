"""iTPN, pixels as target, on photo patches: ``make demo METHOD=itpn``.

Three quarters of the units are hidden and the pixels of each patch are standardised, as on ImageNet. The warm-up takes
four of the 16 epochs: with one, the features of some seeds fall to about three directions in the first epochs.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 16

model = dict(
    type='ITPN',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='HiViT',
        arch=dict(embed_dim=128, depths=(1, 1, 4), num_heads=4),
        img_size=32,
        stem_stride=1,  # 64 units of 4 pixels
        output='units',
    ),
    masker=dict(type='UniformMasker', ratio=0.75, patch_size=4),
    neck=dict(
        type='ITPNDecoder',
        pyramid=dict(type='ITPNPyramid', in_channels=(32, 64, 128), out_channels=64, fpn_depth=1),
        out_channels=48,
        grid_size=8,
        embed_dim=64,
        depth=2,
        num_heads=4,
    ),
    target=dict(type='PixelTarget', patch_size=4, standardize=True),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.4, interpolation='bicubic')]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=5.0),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=4)
