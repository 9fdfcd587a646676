"""DeepCluster on photo patches: ``make demo METHOD=deepcluster``.

What was measured is in ``configs/deepcluster/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 14

model = dict(
    type='DeepCluster',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='Identity'),
    head=dict(type='ClusterHead', in_channels=128, num_clusters=100),
)
custom_hooks = [
    dict(
        type='PseudoLabelsHook',
        labeller=dict(type='KMeansLabeller', num_clusters=100, whiten=64),
        transform=dict(type='CenterCropView', size=32),
    )
]

_view = dict(type='AugmentedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=128, sampler=dict(type='ClusterSampler'), dataset=dict(views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-5),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(momentum=0.0)}),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
