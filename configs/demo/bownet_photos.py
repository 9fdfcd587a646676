"""BoWNet on photo patches, from RotNet: ``make demo METHOD=bownet``.

What was measured is in ``configs/bownet/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

_backbone = dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,))
_plain = dict(type='CenterCropView', size=32)
stages = [
    dict(name='rotnet', recipe='rotnet_photos.py', config=dict(max_epochs=2)),
    dict(
        name='words',
        step=dict(
            type='FitVocabulary',
            num_words=256,
            sampled_images=1024,
            backbone=_backbone,
            dataloader=dict(batch_size=256, dataset=dict(type='PhotoPatches', split='train', transform=_plain)),
        ),
        takes={'checkpoint': 'rotnet.backbone'},
        leaves=dict(vocabulary='vocabulary.npy', figure='words.png'),
    ),
    dict(
        name='bownet',
        takes={'model.target.checkpoint': 'rotnet.backbone', 'model.target.vocabulary': 'words.vocabulary'},
    ),
]

model = dict(
    type='BoWNet',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=_backbone,
    neck=dict(type='Identity'),
    head=dict(type='WordPredictHead', in_channels=128, num_words=256),
    target=dict(type='VisualWordsTarget', backbone=_backbone, num_words=256),
)

_view = dict(type='AugmentedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view, _plain]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
