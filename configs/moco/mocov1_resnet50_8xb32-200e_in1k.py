"""MoCo v1, ResNet-50, 200 epochs.

    tools/dist_train.sh configs/moco/mocov1_resnet50_8xb32-200e_in1k.py 8

Cost: 1,000,800 steps of 256 image pairs; the official README reports about 53 h on 8 V100. Not measured here.
Expected: 60.6 % linear top-1 (official README; 60.8 +- 0.2 over five runs).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per process, and the shuffling of keys, are part of the method

model = dict(
    type='MoCo',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(
        type='MLPProjector', in_channels=2048, hidden_channels=None, out_channels=128, num_layers=1, last_bias=True
    ),
    head=dict(type='QueueContrastLoss', temperature=0.07),
    teacher=dict(momentum=0.999, schedule='constant'),
    queue=dict(length=65536, dim=128),
)

_view = dict(
    type='AugmentedView',
    size=224,
    min_scale=0.2,
    jitter=(0.4, 0.4, 0.4, 0.4),
    jitter_prob=1.0,
    grayscale=0.2,
    order=('grayscale', 'jitter'),
)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='StepLR', milestones=[0.6, 0.8], gamma=0.1)  # epochs 120 and 160 of 200
auto_scale_lr = dict(base_batch_size=256, rule='linear')
