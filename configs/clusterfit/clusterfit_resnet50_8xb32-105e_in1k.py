"""ClusterFit, ResNet-50, 105 epochs, from 16,000 clusters of a RotNet's features: the configuration of VISSL.

    tools/dist_train.sh configs/clusterfit/clusterfit_resnet50_8xb32-105e_in1k.py 8

Cost: RotNet's 525,420 steps of 256 images in four rotations, 50 iterations of k-means on 1.28 million x 2048, 525,420
steps of 256 images, on 8 GPUs. Not measured here.
Expected: no reproduced figure; VISSL publishes 53.63 % in a linear probe of an unnamed layer, from a RotNet of 48.2 %.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 105
_milestones = [30 / 105, 60 / 105, 90 / 105, 100 / 105]
_plain = dict(type='CenterCropView', resize=256, size=224)
_data = dict(type='ImageNet1k', data_root='data/imagenet')
_test = dict(batch_size=256, num_workers=8, dataset=dict(**_data, split='val', transform=_plain))
_optim = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0), custom_keys={'head.fc.bias': dict(decay_mult=1.0)}),
)
_schedule = dict(_delete_=True, type='StepLR', milestones=_milestones)
_batch = dict(train_dataloader=dict(batch_size=32), auto_scale_lr=dict(base_batch_size=256))
_rotnet = dict(max_epochs=105, optim_wrapper=_optim, param_scheduler=_schedule, **_batch)
stages = [
    dict(name='rotnet', recipe='../rotnet/rotnet_resnet50_8xb16-70e_in1k.py', config=_rotnet),
    dict(
        name='cluster',
        step=dict(
            type='ClusterFeatures',
            num_clusters=16000,
            backbone=dict(type='ResNet', depth=50),
            dataloader=dict(_test, dataset=dict(**_data, split='train', transform=_plain)),
            test_dataloader=_test,
            num_images=1_281_167,
        ),
        takes={'checkpoint': 'rotnet.backbone'},
        leaves=dict(labels='labels.txt', test_labels='test_labels.txt', scores='clusters.json'),
    ),
    dict(name='fit', takes={'train_dataloader.dataset.labels': 'cluster.labels'}, leaves=dict(checkpoint='fit.pth')),
    dict(
        name='test',
        step=dict(type='ClusterAccuracy', dataloader=_test),
        takes={'checkpoint': 'fit.checkpoint', 'labels': 'cluster.test_labels'},
        leaves=dict(accuracy='accuracy.json'),
    ),
]

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=16000, init_std=None),
)
_view = dict(type='AugmentedView', size=224, jitter=(0.4, 0.4, 0.4, 0.2), jitter_prob=1.0)
_images = dict(_delete_=True, type='RelabelledImages', dataset=dict(**_data, split='train'), labels=None)
train_dataloader = dict(batch_size=32, dataset=dict(**_images, views=[_view]))
optim_wrapper = _optim
param_scheduler = dict(type='StepLR', milestones=_milestones)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
