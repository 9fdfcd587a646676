"""SeLa on photo patches: ``make demo METHOD=sela``.

What was measured is in ``configs/sela/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 18

model = dict(
    type='SeLa',
    num_labellings=18,
    spacing='linear',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='Identity'),
    head=dict(type='ClusterHead', in_channels=128, num_clusters=64, num_heads=4, init='torch'),
)
_labeller = dict(type='TransportLabeller', num_clusters=64, num_heads=4, power=10, tolerance=0.1)
custom_hooks = [dict(type='PseudoLabelsHook', labeller=_labeller)]

_view = dict(type='AugmentedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
