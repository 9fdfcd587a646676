"""A2MIM, ResNet-18 for small images, 400 epochs of CIFAR-10.

    python tools/train.py configs/a2mim/a2mim_resnet18_1xb512-400e_cifar10.py

Cost: 38,800 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 400
sync_bn = True

model = dict(
    type='A2MIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    mask_token=dict(layer='layer3', channels=256, gamma=1e-6),
    masker=dict(type='SimMIMMasker', ratio=0.6, unit_size=8, patch_size=4),
    neck=dict(
        type='PixelShuffleDecoder',
        in_channels=512,
        stride=8,
        init_cfg=dict(type='TruncNormal', layer='Conv2d', std=0.02),
    ),
    target=dict(type='PixelTarget', patch_size=4, standardize=False),
    head=dict(type='A2MIMLoss', focal=True, frequency_weight=0.5, visible_weight=1e-3),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.8)]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=6e-4, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0), custom_keys=dict(mask_token=dict(lr_mult=0.1, decay_mult=0))),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
