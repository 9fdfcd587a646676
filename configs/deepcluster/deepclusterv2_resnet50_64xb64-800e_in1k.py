"""DeepCluster-v2, ResNet-50, 800 epochs of batch 4096, two views of 224 px and six of 96.

    tools/dist_train.sh configs/deepcluster/deepclusterv2_resnet50_64xb64-800e_in1k.py 64

Cost: 249,600 steps of 4096 images in 2 + 6 views, on 64 GPUs. Not measured here.
Expected: 75.2 % linear top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 800
sync_bn = True

model = dict(
    type='DeepClusterV2',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', std=[58.14, 57.12, 57.375]),  # as in the official code
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='MLPProjector', in_channels=2048, hidden_channels=2048, out_channels=128, bias=True, last_bias=True),
    head=dict(
        type='ClusterHead',
        in_channels=128,
        num_clusters=3000,
        num_heads=3,
        bias=False,
        temperature=0.1,
        frozen=True,  # the weights are the centroids
    ),
)
_kmeans = dict(num_heads=3, num_crops=2, spherical=True, num_iterations=10, empty_clusters='keep')
_labeller = dict(type='KMeansLabeller', num_clusters=3000, **_kmeans)
custom_hooks = [dict(type='PseudoLabelsHook', labeller=_labeller)]

_view = dict(type='AugmentedView', jitter=(0.8, 0.8, 0.8, 0.2), grayscale=0.2, blur=0.5)
_global = dict(_view, size=224, min_scale=0.14)
_local = dict(_view, size=96, min_scale=0.05, max_scale=0.14)
train_dataloader = dict(batch_size=64, dataset=dict(views=[*[_global] * 2, *[_local] * 6]))

optim_wrapper = dict(optimizer=dict(type='LARS', lr=4.8, weight_decay=1e-6, ratio='larc', excluded=False))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, start_factor=0.0625, end_factor=1e-3)  # from 0.3
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
