"""SimCLR, ResNet-20 of adder layers, 200 epochs of CIFAR-10, with the official temperature and views.

    python tools/train.py configs/simclr/simclr_resnet20-adder_1xb512-200e_cifar10.py

An example of an adder network (AdderNet, see configs/addernet/README.md) under a self-supervised method. SGD stands in
for LARS, whose trust ratio would scale the gradients of the adder filters a second time.
Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='SimCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255]),  # to [0, 1], no more
    backbone=dict(type='AdderResNet', depth=20),
    neck=dict(
        type='MLPProjector',
        in_channels=64,
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

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
