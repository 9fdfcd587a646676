"""GreenMIM, a Swin of three stages with patches of 2 pixels, 400 epochs of CIFAR-10.

    python tools/train.py configs/greenmim/greenmim_swin-tiny_1xb512-400e_cifar10.py

Cost: 38,800 steps of 512 images of 32 px, of which three eighths are encoded, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 400

model = dict(
    type='GreenMIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='GroupedSwin',
        name='swin_tiny_patch4_window7_224',
        img_size=32,
        patch_size=2,
        window_size=4,
        embed_dim=48,
        depths=(2, 2, 6),
        num_heads=(2, 4, 8),
    ),
    masker=dict(type='SharedMasker', ratio=0.6, patch_size=8),
    neck=dict(
        type='MAEDecoder',
        in_channels=192,
        out_channels=192,
        grid_size=4,
        embed_dim=128,
        depth=1,
        num_heads=4,
        num_prefix_tokens=0,
    ),
    target=dict(type='PixelTarget', patch_size=8, standardize=True),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.2, interpolation='bicubic')]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0),
        custom_keys=dict(mask_token=dict(decay_mult=0), relative_position_bias_table=dict(decay_mult=0)),
    ),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
