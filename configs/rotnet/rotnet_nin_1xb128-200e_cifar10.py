"""RotNet, network in network, 200 epochs of CIFAR-10: the official configuration.

    python tools/train.py configs/rotnet/rotnet_nin_1xb128-200e_cifar10.py

Cost: 78,000 steps of 128 images of 32 px in four rotations each, on one GPU. Not measured here.
Expected: no published linear figure; users of the official code report 93.65 % rotation accuracy (its issue 6).
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200

model = dict(
    type='RotNet',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]),
    backbone=dict(type='NIN', num_stages=4),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=192, num_classes=4, init_std=None),
)

train_dataloader = dict(batch_size=128, dataset=dict(views=[dict(type='PaddedCropView', size=32, padding=4)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='StepLR', milestones=[0.3, 0.6, 0.8], gamma=0.2)  # epochs 60, 120, 160
auto_scale_lr = dict(base_batch_size=128, rule='linear')
