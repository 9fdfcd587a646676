"""DeepCluster-v2, ResNet-18 with the small stem, 200 epochs of CIFAR-10, two views of 32 px and four of 16.

    python tools/train.py configs/deepcluster/deepclusterv2_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 images in 2 + 4 views, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='DeepClusterV2',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(type='MLPProjector', in_channels=512, hidden_channels=2048, out_channels=128, bias=True, last_bias=True),
    head=dict(
        type='ClusterHead',
        in_channels=128,
        num_clusters=500,
        num_heads=3,
        bias=False,
        temperature=0.1,
        frozen=True,  # the weights are the centroids
    ),
)
_kmeans = dict(num_heads=3, num_crops=2, spherical=True, num_iterations=10, empty_clusters='keep')
_labeller = dict(type='KMeansLabeller', num_clusters=500, **_kmeans)
custom_hooks = [dict(type='PseudoLabelsHook', labeller=_labeller)]

_view = dict(type='AugmentedView', jitter=(0.8, 0.8, 0.8, 0.2), grayscale=0.2)
_global = dict(_view, size=32, min_scale=0.2)
_local = dict(_view, size=16, min_scale=0.05, max_scale=0.2)
train_dataloader = dict(batch_size=512, dataset=dict(views=[*[_global] * 2, *[_local] * 4]))

optim_wrapper = dict(optimizer=dict(type='LARS', lr=1.2, weight_decay=1e-6, ratio='larc', excluded=False))
param_scheduler = dict(type='WarmupCosineLR', end_factor=1e-3)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
