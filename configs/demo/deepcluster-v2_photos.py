"""DeepCluster-v2 on photo patches: ``make demo METHOD=deepcluster-v2``.

What was measured is in ``configs/deepcluster/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 10

model = dict(
    type='DeepClusterV2',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='MLPProjector', in_channels=128, hidden_channels=256, out_channels=64, bias=True, last_bias=True),
    head=dict(
        type='ClusterHead', in_channels=64, num_clusters=100, num_heads=3, bias=False, temperature=0.1, frozen=True
    ),
)
_kmeans = dict(num_heads=3, num_crops=2, spherical=True, num_iterations=10, empty_clusters='keep')
custom_hooks = [dict(type='PseudoLabelsHook', labeller=dict(type='KMeansLabeller', num_clusters=100, **_kmeans))]

_view = dict(type='AugmentedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
