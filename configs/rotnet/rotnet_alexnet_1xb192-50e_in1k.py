"""RotNet, AlexNet, 50 epochs: the official configuration.

    python tools/train.py configs/rotnet/rotnet_alexnet_1xb192-50e_in1k.py

Cost: 333,600 steps of 192 images in four rotations each, on one GPU. Not measured here.
Expected: no published figure of this length; VISSL's probe of the released weights has 39.51 % (VISSL).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 50

model = dict(
    type='RotNet',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='AlexNet', channels=(64, 192, 384, 256, 256), fc=dict(norm=True), init='torch'),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=4096, num_classes=4, init_std=None),
)

train_dataloader = dict(batch_size=192, dataset=dict(views=[dict(type='AugmentedView', size=224)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='StepLR', milestones=[0.3, 0.6, 0.9])  # epochs 15, 30, 45
auto_scale_lr = dict(base_batch_size=192, rule='linear')
