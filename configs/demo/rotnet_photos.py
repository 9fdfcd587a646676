"""RotNet on photo patches: ``make demo METHOD=rotnet``.

Meant for five minutes on two CPU cores with bfloat16, not measured here at this size. With a quarter of the width and
two epochs, one seed, in %:

    pre-trained               kNN 66.8   linear 67.0   10 labels 54.9
    the same network before   kNN 57.2   linear 60.9   10 labels 42.7
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 5

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
