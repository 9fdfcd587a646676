"""BoWNet, ResNet-18, 200 epochs of CIFAR-10, from a RotNet of the same architecture, which is the first stage.

    python tools/train.py configs/bownet/bownet_resnet18_1xb128-200e_cifar10.py

Cost: RotNet's 78,000 steps, a vocabulary of 262,144 vectors, 78,000 steps of 128 images of 32 px, on one GPU.
Not measured here.
Expected: no published figure; the settings are this project's.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200

_backbone = dict(type='ResNet', depth=18, stem='small')
_plain = dict(type='CenterCropView', size=32)
_data = dict(type='CIFAR10', data_root='data/cifar10', split='train', transform=_plain)
_rotnet = dict(
    model=dict(
        _delete_=True,
        type='RotNet',
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=_backbone,
        neck=dict(type='Identity'),
        head=dict(type='LinearClsHead', in_channels=512, num_classes=4),
    ),
    train_dataloader=dict(dataset=dict(views=[dict(type='PaddedCropView', size=32)])),
)
stages = [
    dict(name='rotnet', config=_rotnet),
    dict(
        name='words',
        step=dict(
            type='FitVocabulary',
            num_words=512,
            sampled_images=16384,
            backbone=_backbone,
            dataloader=dict(batch_size=256, num_workers=4, dataset=_data),
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
    head=dict(type='WordPredictHead', in_channels=512, num_words=512),
    target=dict(type='VisualWordsTarget', backbone=_backbone, num_words=512),
)
_view = dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view, _plain]))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='StepLR', milestones=[0.3, 0.6, 0.8], gamma=0.2)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
