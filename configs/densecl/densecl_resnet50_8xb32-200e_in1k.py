"""DenseCL, ResNet-50, 200 epochs.

    tools/dist_train.sh configs/densecl/densecl_resnet50_8xb32-200e_in1k.py 8

Cost: 1,000,800 steps of 256 image pairs; the official README reports 2.3 days on 8 V100. Not measured here.
Expected: 63.5 % linear top-1 (mmselfsup); VOC07+12 detection AP 58.7 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per process, and the shuffling of keys, are part of the method

model = dict(
    type='DenseCL',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='DenseProjector', in_channels=2048, hidden_channels=2048, out_channels=128),
    head=dict(type='QueueContrastLoss', temperature=0.2),
    teacher=dict(momentum=0.999, schedule='constant'),
    queue=dict(length=65536, dim=128),
    dense_weight=0.5,
)

_view = dict(type='AugmentedView', size=224, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2, blur=0.5)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
