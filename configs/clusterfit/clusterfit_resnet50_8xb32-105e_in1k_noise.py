"""ClusterFit's experiment with label noise: the first stage is trained on ImageNet labels of which half are random.

    tools/dist_train.sh configs/clusterfit/clusterfit_resnet50_8xb32-105e_in1k_noise.py 8

Cost: twice 525,420 steps of 256 images and 50 iterations of k-means, on 8 GPUs. Not measured here.
Expected: no verified figure; the paper reports that transfer improves over the noisy first stage.

Other amounts: the paper's are 0, 0.25, 0.5 and 0.75.

    --cfg-options labels.train_dataloader.dataset.noise=0.75
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 105

_plain = dict(type='CenterCropView', resize=256, size=224)
_data = dict(type='ImageNet1k', data_root='data/imagenet')
_test = dict(batch_size=256, num_workers=8, dataset=dict(**_data, split='val', transform=_plain))
_noisy = dict(type='RelabelledImages', dataset=dict(**_data, split='train'), noise=0.5, num_classes=1000)
_labels = dict(model=dict(head=dict(num_classes=1000)), train_dataloader=dict(dataset=_noisy))
stages = [
    dict(name='labels', config=_labels),
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
        takes={'checkpoint': 'labels.backbone'},
        leaves=dict(labels='labels.txt', test_labels='test_labels.txt', scores='clusters.json'),
    ),
    dict(name='fit', takes={'train_dataloader.dataset.labels': 'cluster.labels'}),
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
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0), custom_keys={'head.fc.bias': dict(decay_mult=1.0)}),
)
param_scheduler = dict(type='StepLR', milestones=[30 / 105, 60 / 105, 90 / 105, 100 / 105])
auto_scale_lr = dict(base_batch_size=256, rule='linear')
