"""DeepCluster, AlexNet on Sobel gradients, 200 epochs, 10,000 clusters: the official script.

    python tools/train.py configs/deepcluster/deepcluster_alexnet-sobel_1xb256-200e_in1k.py

Cost: 1,000,800 steps of 256 images and 200 labellings of 1,281,167 images, on one GPU. Not measured here.
Expected: 37.88 % linear top-1 by the protocol of VISSL (official weights, evaluated by VISSL; trained longer).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200

model = dict(
    type='DeepCluster',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='AlexNet', sobel=True, fc=dict(dropout=(0.5, 0.5), last_relu=False)),
    neck=dict(type='Identity'),
    head=dict(type='ClusterHead', in_channels=4096, num_clusters=10000, relu=True),
)
custom_hooks = [
    dict(
        type='PseudoLabelsHook',
        labeller=dict(type='KMeansLabeller', num_clusters=10000, whiten=256),
        transform=dict(type='CenterCropView', resize=256, size=224),
    )
]

train_dataloader = dict(
    batch_size=256,
    sampler=dict(type='ClusterSampler'),
    dataset=dict(views=[dict(type='AugmentedView', size=224)]),
)

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-5),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(momentum=0.0)}),  # the official code has a separate optimizer
)
param_scheduler = dict(type='StepLR', milestones=[])  # constant
auto_scale_lr = dict(base_batch_size=256, rule='linear')
