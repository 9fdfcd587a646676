"""CAE on photo patches: ``make demo METHOD=cae``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 10

_half = dict(in_channels=128, grid_size=8, depth=1, num_heads=4)
model = dict(
    type='CAE',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='CAEViT',
        arch=dict(embed_dim=128, depth=4, num_heads=4),
        img_size=32,
        patch_size=4,
        output='tokens',
    ),
    masker=dict(type='BlockwiseMasker', num_hidden=32, min_block=4, exact=True, patch_size=4),
    target=dict(type='TokenizerTarget', tokenizer=dict(type='PatchCodebook', num_tokens=256, patch_size=4)),
    neck=dict(type='CAERegressor', embed_dim=128, **_half),
    head=dict(type='CAEHead', num_words=256, **_half),
)
custom_hooks = [dict(type='FitTokenizerHook', num_images=1024)]

_views = [dict(type='AugmentedView', size=32, min_scale=0.4, interpolation='bicubic')]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1, end_factor=0.01)
