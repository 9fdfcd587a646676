"""ODC, ResNet-50, 10,000 clusters, 440 epochs: the configuration of OpenSelfSup.

    tools/dist_train.sh configs/odc/odc_resnet50_8xb64-440e_in1k.py 8

Cost: 1,100,880 steps of 512 images and one k-means of all images, on 8 GPUs. Not measured here.
Expected: 53.42 % linear top-1 on the pooled features, 57.70 % on the last stage (mmselfsup and OpenSelfSup).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 440
sync_bn = True

model = dict(
    type='ODC',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(
        type='TileNeck',
        in_channels=2048,
        num_tiles=1,
        single=[dict(channels=512, norm='plain', momentum=0.001, dropout=0.5), dict(channels=256)],
        init_cfg=dict(type='Kaiming', layer='Linear', mode='fan_in'),
    ),
    head=dict(type='ClusterHead', in_channels=256, num_clusters=10000),
    clusters=dict(dim=256, momentum=0.5, min_cluster=20),
)
custom_hooks = [
    dict(
        type='PseudoLabelsHook',
        labeller=dict(type='KMeansLabeller', num_clusters=10000),
        transform=dict(type='CenterCropView', resize=256, size=224),
    )
]

_view = dict(type='AugmentedView', size=224, jitter=(0.4, 0.4, 1.0, 0.5), jitter_prob=1.0, grayscale=0.2)
train_dataloader = dict(batch_size=64, dataset=dict(views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=1e-5),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(momentum=0.0)}),
)
param_scheduler = dict(type='StepLR', milestones=[400 / 440], gamma=0.4)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
