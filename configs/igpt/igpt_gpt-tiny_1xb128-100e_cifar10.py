"""A small iGPT, next pixel, 100 epochs of CIFAR-10.

    python tools/train.py configs/igpt/igpt_gpt-tiny_1xb128-100e_cifar10.py

Cost: 39,000 steps of 128 sequences of 1024 pixels, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 100

model = dict(
    type='IGPT',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='PixelTransformer',
        arch=dict(embed_dim=256, depth=8, num_heads=4),
        img_size=32,
        num_colors=512,
        feature_block=4,
    ),
    neck=dict(type='WordLogits', in_channels=256, out_channels=512),
    head=dict(type='MaskedCrossEntropyLoss', per_image=True),
)
custom_hooks = [dict(type='FitTokenizerHook', num_images=2048)]

train_dataloader = dict(batch_size=128, dataset=dict(views=[dict(type='PaddedCropView', size=32)]))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=3e-3, betas=(0.9, 0.95), weight_decay=0.01),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=2)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
