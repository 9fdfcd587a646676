"""RotNet on photo patches: ``make demo METHOD=rotnet``.

What was measured is in ``configs/rotnet/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

model = dict(
    type='RotNet',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=128, num_classes=4),
)

_view = dict(type='AugmentedView', size=24, min_scale=0.3)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
