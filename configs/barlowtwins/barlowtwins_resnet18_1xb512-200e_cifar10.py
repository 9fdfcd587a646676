"""Barlow Twins, ResNet-18 with the small stem and a projector of 2048, 200 epochs of CIFAR-10.

    python tools/train.py configs/barlowtwins/barlowtwins_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='BarlowTwins',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', zero_init_residual=True),
    neck=dict(
        type='MLPProjector', in_channels=512, hidden_channels=2048, out_channels=2048, num_layers=3, last_norm='plain'
    ),
    head=dict(type='BarlowTwinsLoss', redundancy_weight=0.0051),
)

_view = dict(
    type='AugmentedView', size=32, min_scale=0.2, interpolation='bicubic', jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2
)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view, dict(_view, solarize=0.2)]))

optim_wrapper = dict(
    optimizer=dict(type='LARS', lr=2.0, weight_decay=1e-6, lr_mode='post'),
    paramwise_cfg=dict(vectors=dict(lr_mult=0.0048 / 0.2 / 16)),  # for biases and norms
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, end_factor=0.001)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
