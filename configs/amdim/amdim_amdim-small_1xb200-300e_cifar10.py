"""AMDIM, its encoder for 32 px, 300 epochs of CIFAR-10.

    python tools/train.py configs/amdim/amdim_amdim-small_1xb200-300e_cifar10.py

Cost: 75,000 steps of 200 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for these views.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 300
sync_bn = True

model = dict(
    type='AMDIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]),
    backbone=dict(type='AMDIMEncoder', width=128, out_channels=1024, num_units=3, img_size=32),
    neck=dict(type='AMDIMProjector', in_channels=512, out_channels=1024),
    head=dict(type='LocalInfoLoss', clip=20.0, penalty=0.05),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.3, jitter=(0.4, 0.4, 0.4, 0.2), grayscale=0.25)
train_dataloader = dict(batch_size=200, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.8, 0.999), weight_decay=1e-5))
param_scheduler = dict(type='StepLR', by_epoch=False, milestones=[250 / 300, 280 / 300], gamma=0.2, warmup_epochs=2)
auto_scale_lr = dict(base_batch_size=200, rule='linear')
