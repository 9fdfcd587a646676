"""RotNet, ResNet-50, 70 epochs: the configuration of mmselfsup, because the authors trained no ResNet.

    tools/dist_train.sh configs/rotnet/rotnet_resnet50_8xb16-70e_in1k.py 8

Cost: 700,630 steps of 128 images in four rotations each, on 8 GPUs. Not measured here.
Expected: 47.0 % linear top-1 on the pooled features, 54.20 % on those of the stage before the last (mmselfsup).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 70
sync_bn = True

model = dict(
    type='RotNet',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=4),
)

train_dataloader = dict(batch_size=16, dataset=dict(views=[dict(type='AugmentedView', size=224)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='StepLR', by_epoch=False, milestones=[30 / 70, 50 / 70], warmup_epochs=5, start_factor=0.1)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
