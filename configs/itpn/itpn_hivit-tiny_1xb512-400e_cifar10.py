"""iTPN, pixels as target, a tiny HiViT with units of 4 pixels, 400 epochs of CIFAR-10.

    python tools/train.py configs/itpn/itpn_hivit-tiny_1xb512-400e_cifar10.py

With masked feature modelling beside the pixels, as this project reads an unreleased part of the method:

    --cfg-options model.mfm=True

Cost: 38,800 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 400

model = dict(
    type='ITPN',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='HiViT',
        arch=dict(embed_dim=192, depths=(1, 1, 10), num_heads=3),
        img_size=32,
        stem_stride=1,  # a unit has 4 x 4 cells: 64 units of 4 pixels, where the usual 16 would leave 4 units
        output='units',
    ),
    masker=dict(type='UniformMasker', ratio=0.75, patch_size=4),
    neck=dict(
        type='ITPNDecoder',
        pyramid=dict(type='ITPNPyramid', in_channels=(48, 96, 192), out_channels=96, fpn_depth=2),
        out_channels=48,
        grid_size=8,
        embed_dim=192,
        depth=2,
        num_heads=3,
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
