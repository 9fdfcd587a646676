"""iGPT on photo patches: ``make demo METHOD=igpt``.

Patches are reduced to 16 x 16 pixels of 64 colours; a small network predicts the next pixel.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 6

model = dict(
    type='IGPT',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='PixelTransformer',
        arch=dict(embed_dim=128, depth=4, num_heads=4),
        img_size=16,
        num_colors=64,
        feature_block=2,
    ),
    neck=dict(type='WordLogits', in_channels=128, out_channels=64),
    head=dict(type='MaskedCrossEntropyLoss'),
)
custom_hooks = [dict(type='FitTokenizerHook', num_images=1024)]

_views = [dict(type='AugmentedView', size=32, min_scale=0.4)]
train_dataloader = dict(batch_size=32, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.95), weight_decay=0.01),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
