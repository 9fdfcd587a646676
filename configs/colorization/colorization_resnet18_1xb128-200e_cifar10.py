"""Colourisation, ResNet-18 on lightness, 200 epochs of CIFAR-10.

    python tools/train.py configs/colorization/colorization_resnet18_1xb128-200e_cifar10.py

Cost: 78,000 steps of 128 images of 32 px, on one GPU. Not measured here.
Expected: no published figure.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='Colorization',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='AdaptedInput', steps=[dict(type='Lightness')], network=dict(type='ResNet', depth=18, stem='small')
    ),
    neck=dict(type='ColorUpsampler', in_channels=512),  # maps of 4 x 4 become 8 x 8
    head=dict(type='RebalancedColorLoss'),
    target=dict(type='ColorTarget', stride=4),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.5)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.99), weight_decay=0.05))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
