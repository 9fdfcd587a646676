"""ConvMAE, a tiny hybrid with patches of 4 pixels, 400 epochs of CIFAR-10.

    python tools/train.py configs/convmae/convmae_convvit-tiny_1xb512-400e_cifar10.py

Cost: 38,800 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 400

model = dict(
    type='MAE',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='ConvViT',
        arch=dict(dims=(48, 96, 192), depths=(1, 1, 8), num_heads=3),
        img_size=32,
        stem_stride=1,
        multi_scale=True,
        output='tokens',
    ),
    masker=dict(type='UniformMasker', ratio=0.75, patch_size=4),
    neck=dict(
        type='MAEDecoder',
        in_channels=192,
        out_channels=48,
        grid_size=8,
        embed_dim=192,
        depth=2,
        num_heads=3,
        num_prefix_tokens=0,
    ),
    target=dict(type='PixelTarget', patch_size=4, standardize=True),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.2, interpolation='bicubic')]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
