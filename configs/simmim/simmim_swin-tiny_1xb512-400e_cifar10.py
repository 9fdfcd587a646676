"""SimMIM, a Swin of three stages with patches of 2 pixels, 400 epochs of CIFAR-10.

    python tools/train.py configs/simmim/simmim_swin-tiny_1xb512-400e_cifar10.py

Cost: 38,800 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 400

model = dict(
    type='SimMIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='TimmBackbone',
        name='swin_tiny_patch4_window7_224',
        pool=False,
        img_size=32,
        patch_size=2,
        window_size=4,
        embed_dim=48,
        depths=(2, 2, 6),
        num_heads=(2, 4, 8),
        drop_path_rate=0.0,
    ),
    masker=dict(type='SimMIMMasker', ratio=0.6, unit_size=8, patch_size=2),
    neck=dict(type='PixelShuffleDecoder', in_channels=192, stride=8),
    target=dict(type='PixelTarget', patch_size=2, standardize=False),
    head=dict(type='MaskedL1Loss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.67)]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=5.0),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0),
        custom_keys=dict(mask_token=dict(decay_mult=0), relative_position_bias_table=dict(decay_mult=0)),
    ),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20, start_factor=0.005, end_factor=0.05)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
