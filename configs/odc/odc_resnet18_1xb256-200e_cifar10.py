"""ODC, ResNet-18, 500 clusters, 200 epochs of CIFAR-10.

    python tools/train.py configs/odc/odc_resnet18_1xb256-200e_cifar10.py

Cost: 39,000 steps of 256 images of 32 px and one k-means of all images, on one GPU. Not measured here.
Expected: no published figure; the settings are this project's choice.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

_units = [dict(channels=256, norm='plain'), dict(channels=128)]
model = dict(
    type='ODC',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(type='TileNeck', in_channels=512, num_tiles=1, single=_units),
    head=dict(type='ClusterHead', in_channels=128, num_clusters=500),
    clusters=dict(dim=128, min_cluster=10),
)
_labeller = dict(type='KMeansLabeller', num_clusters=500)
custom_hooks = [
    dict(type='PseudoLabelsHook', labeller=_labeller, transform=dict(type='CenterCropView', size=32)),
]

_view = dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(momentum=0.0)}),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
