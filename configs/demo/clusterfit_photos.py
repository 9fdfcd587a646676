"""ClusterFit, from RotNet, on photo patches: ``make demo METHOD=clusterfit``.

What was measured is in ``configs/clusterfit/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

_backbone = dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,))
_plain = dict(type='CenterCropView', size=32)
stages = [
    dict(name='rotnet', recipe='rotnet_photos.py', config=dict(max_epochs=2)),
    dict(
        name='cluster',
        step=dict(
            type='ClusterFeatures',
            num_clusters=200,
            backbone=_backbone,
            dataloader=dict(batch_size=360, dataset=dict(type='PhotoPatches', split='train', transform=_plain)),
        ),
        takes={'checkpoint': 'rotnet.backbone'},
        leaves=dict(labels='labels.txt', scores='clusters.json'),
    ),
    dict(name='fit', takes={'train_dataloader.dataset.labels': 'cluster.labels'}),
]

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=_backbone,
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=128, num_classes=200),
)

_view = dict(type='AugmentedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(
    batch_size=128,
    dataset=dict(
        _delete_=True,
        type='RelabelledImages',
        dataset=dict(type='PhotoPatches', split='train'),
        labels=None,
        views=[_view],
    ),
)

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
