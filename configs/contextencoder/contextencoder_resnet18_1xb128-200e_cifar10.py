"""Context encoder, ResNet-18, 200 epochs of CIFAR-10, with the adversarial term.

    python tools/train.py configs/contextencoder/contextencoder_resnet18_1xb128-200e_cifar10.py

Cost: 78,000 steps of 128 images of 32 px, on one GPU. Not measured here.
Expected: no published figure.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='ContextEncoder',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(type='InpaintingGenerator', in_channels=512, map_size=4, bottleneck=512, widths=(256, 128)),
    head=dict(type='InpaintingLoss', rim=2),
    discriminator=dict(type='RegionDiscriminator', size=16, widths=(64, 128)),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.5)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)),
    paramwise_cfg=dict(custom_keys={'discriminator.layers': dict(lr_mult=0.1)}),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
