"""SimCLR, ResNet-18 with the small stem, 200 epochs of CIFAR-10, with the official temperature.

    python tools/train.py configs/simclr/simclr_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for this length.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='SimCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255]),  # to [0, 1] only
    backbone=dict(type='ResNet', depth=18, stem='small', zero_init_residual=True, conv_init='lecun'),
    neck=dict(
        type='MLPProjector',
        in_channels=512,
        hidden_channels=512,
        out_channels=128,
        num_layers=3,
        last_norm='scale',
        init_cfg=dict(type='Normal', layer='Linear', std=0.01),
    ),
    head=dict(type='NTXentLoss', temperature=0.5),
)

_view = dict(
    type='AugmentedView', size=32, min_scale=0.08, interpolation='bicubic', jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2
)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='LARS', lr=2.0, weight_decay=1e-4, lr_mode='classic'))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
