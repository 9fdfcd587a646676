"""MAE on a small HiViT, on photo patches: ``make demo METHOD=hivit``.

Half of the units is hidden, and the targets are plain pixels.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 16

model = dict(
    type='MAE',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='HiViT',
        arch=dict(embed_dim=128, depths=(1, 1, 4), num_heads=4),
        img_size=32,
        stem_stride=1,  # 64 units of 4 pixels
        output='units',
    ),
    masker=dict(type='UniformMasker', ratio=0.5, patch_size=4),
    neck=dict(type='HiViTDecoder', in_channels=128, out_channels=48, grid_size=8, embed_dim=64, depth=2, num_heads=4),
    target=dict(type='PixelTarget', patch_size=4, standardize=False),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.4, interpolation='bicubic')]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
