"""AMDIM, its encoder of width 192, 50 epochs: the released command.

    tools/dist_train.sh configs/amdim/amdim_amdim-192_4xb120-50e_in1k.py 4

Cost: 133,450 steps of 480 image pairs of 128 px, on 4 GPUs. Not measured here.
Expected: 62 % online linear top-1 (official README; 63 % with Fast AutoAugment).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 50
sync_bn = False  # as in the official code, which runs in one process

model = dict(
    type='AMDIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='AMDIMEncoder', width=192, out_channels=1536, num_units=8, img_size=128),
    neck=dict(type='AMDIMProjector', in_channels=1536, out_channels=1536),
    head=dict(type='LocalInfoLoss', clip=20.0, penalty=0.05),
)

_view = dict(
    type='AugmentedView',
    size=128,
    min_scale=0.3,
    ratio=(0.7, 1.4),
    interpolation='bicubic',
    jitter=(0.4, 0.4, 0.4, 0.1),
    grayscale=0.25,
)
train_dataloader = dict(batch_size=120, dataset=dict(views=[_view, _view]))
_plain = dict(type='CenterCropView', resize=146, size=128, interpolation='bicubic')
val_dataloader = dict(dataset=dict(transform=_plain))
val_cfg = dict(bank_dataloader=dict(dataset=dict(transform=_plain)))

optim_wrapper = dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.8, 0.999), weight_decay=1e-5))
param_scheduler = dict(type='StepLR', by_epoch=False, milestones=[0.6, 0.9], gamma=0.2, warmup_epochs=500 / 2669)
auto_scale_lr = dict(base_batch_size=480, rule='linear')
