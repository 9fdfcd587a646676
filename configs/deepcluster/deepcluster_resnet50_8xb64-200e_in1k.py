"""DeepCluster, ResNet-50 on colours, 200 epochs, 10,000 clusters; batch and learning rate are those of mmselfsup.

    tools/dist_train.sh configs/deepcluster/deepcluster_resnet50_8xb64-200e_in1k.py 8

Cost: 500,400 steps of 512 images and 200 labellings of 1,281,167 images, on 8 GPUs. Not measured here.
Expected: no published figure; with Sobel gradients and stronger colours mmselfsup has 46.92 % linear top-1.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='DeepCluster',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='ClusterHead', in_channels=2048, num_clusters=10000),
)
custom_hooks = [
    dict(
        type='PseudoLabelsHook',
        labeller=dict(type='KMeansLabeller', num_clusters=10000, whiten=256),
        transform=dict(type='CenterCropView', resize=256, size=224),
    )
]

train_dataloader = dict(
    batch_size=64,
    sampler=dict(type='ClusterSampler'),
    dataset=dict(views=[dict(type='AugmentedView', size=224)]),
)

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-5),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(momentum=0.0)}),  # an optimizer of its own in the official code
)
param_scheduler = dict(type='StepLR', milestones=[])  # constant
auto_scale_lr = dict(base_batch_size=512, rule='linear')
