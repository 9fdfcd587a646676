"""DeepCluster, ResNet-18 with the small stem, 200 epochs of CIFAR-10, 500 clusters.

    python tools/train.py configs/deepcluster/deepcluster_resnet18_1xb256-200e_cifar10.py

Cost: 39,000 steps of 256 images of 32 px and 200 labellings of 50,000 images, on one GPU. Not measured here.
Expected: no published figure; the settings are this project's choice.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='DeepCluster',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(type='Identity'),
    head=dict(type='ClusterHead', in_channels=512, num_clusters=500),
)
custom_hooks = [
    dict(
        type='PseudoLabelsHook',
        labeller=dict(type='KMeansLabeller', num_clusters=500, whiten=256),
        transform=dict(type='CenterCropView', size=32),
    )
]

train_dataloader = dict(
    batch_size=256,
    sampler=dict(type='ClusterSampler'),
    dataset=dict(views=[dict(type='AugmentedView', size=32, min_scale=0.2)]),
)

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-5),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(momentum=0.0)}),  # the official code has a separate optimizer
)
param_scheduler = dict(type='StepLR', milestones=[])  # constant
auto_scale_lr = dict(base_batch_size=256, rule='linear')
