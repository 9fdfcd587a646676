"""ClusterFit, ResNet-18, 200 epochs of CIFAR-10, from 500 clusters of a RotNet's features; RotNet is the first stage.

    python tools/train.py configs/clusterfit/clusterfit_resnet18_1xb128-200e_cifar10.py

Cost: RotNet's 78,000 steps, one pass and 50 iterations of k-means, 78,000 steps of 128 images of 32 px, on one GPU.
Not measured here.
Expected: no published figure; the paper has no experiment on CIFAR, and the settings are this project's.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200

_data = dict(type='CIFAR10', data_root='data/cifar10')
_plain = dict(type='CenterCropView', size=32)
_test = dict(batch_size=256, num_workers=4, dataset=dict(**_data, split='test', transform=_plain))
stages = [
    dict(name='rotnet', recipe='../rotnet/rotnet_nin_1xb128-200e_cifar10.py'),
    dict(
        name='cluster',
        step=dict(
            type='ClusterFeatures',
            num_clusters=500,
            backbone=dict(type='NIN', num_stages=4),
            data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[125.3, 123, 113.9], std=[63, 62.1, 66.7]),
            dataloader=dict(_test, dataset=dict(**_data, split='train', transform=_plain)),
            test_dataloader=_test,
            num_images=50_000,
        ),
        takes={'checkpoint': 'rotnet.backbone'},
        leaves=dict(labels='labels.txt', test_labels='test_labels.txt', scores='clusters.json'),
    ),
    dict(
        name='fit',
        takes={'train_dataloader.dataset.labels': 'cluster.labels'},
        leaves=dict(backbone='backbone.pth', checkpoint='checkpoint.pth'),
    ),
    dict(
        name='test',
        step=dict(type='ClusterAccuracy', dataloader=_test),
        takes={'checkpoint': 'fit.checkpoint', 'labels': 'cluster.test_labels'},
        leaves=dict(accuracy='accuracy.json'),
    ),
]

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[125.3, 123, 113.9], std=[63, 62.1, 66.7]),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=512, num_classes=500, init_std=None),
)
_images = dict(_delete_=True, type='RelabelledImages', dataset=dict(**_data, split='train'), labels=None)
train_dataloader = dict(batch_size=128, dataset=dict(**_images, views=[dict(type='PaddedCropView', size=32)]))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='StepLR', milestones=[0.3, 0.6, 0.8], gamma=0.2)  # epochs 60, 120, 160
auto_scale_lr = dict(base_batch_size=128, rule='linear')
