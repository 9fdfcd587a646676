"""BoWNet, wide ResNet-28-10, two rounds of 200 epochs of CIFAR-100, from a RotNet; K = 2048 words, counted.

    python tools/train.py configs/bownet/bownet_wideresnet28-10_1xb128-200e_cifar100.py

Cost: 78,000 steps of RotNet, then twice a vocabulary of 262,144 x 640 and 78,000 steps of 128 images, on one GPU.
Not measured here.
Expected: no figure that could be verified; network and words are the paper's, the rest is this project's choice.
"""

_base_ = ['../_base_/datasets/cifar100.py', '../_base_/default_runtime.py']

max_epochs = 200

_backbone = dict(type='WideResNet', depth=28, width_factor=10)
_plain = dict(type='CenterCropView', size=32)
_data = dict(type='CIFAR100', data_root='data/cifar100', split='train', transform=_plain)
_rotnet = dict(
    model=dict(
        _delete_=True,
        type='RotNet',
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=_backbone,
        neck=dict(type='Identity'),
        head=dict(type='LinearClsHead', in_channels=640, num_classes=4),
    ),
    train_dataloader=dict(dataset=dict(views=[dict(type='PaddedCropView', size=32)])),
)
_words = dict(
    step=dict(
        type='FitVocabulary',
        num_words=2048,
        sampled_images=4096,
        backbone=_backbone,
        dataloader=dict(batch_size=256, num_workers=4, dataset=_data),
    ),
    leaves=dict(vocabulary='vocabulary.npy', figure='words.png'),
)
_network, _vocabulary = 'model.target.checkpoint', 'model.target.vocabulary'
stages = [
    dict(name='rotnet', config=_rotnet),
    dict(name='words1', **_words, takes={'checkpoint': 'rotnet.backbone'}),
    dict(name='round1', takes={_network: 'rotnet.backbone', _vocabulary: 'words1.vocabulary'}),
    dict(name='words2', **_words, takes={'checkpoint': 'round1.backbone'}),
    dict(name='round2', takes={_network: 'round1.backbone', _vocabulary: 'words2.vocabulary'}),
]

model = dict(
    type='BoWNet',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=_backbone,
    neck=dict(type='Identity'),
    head=dict(type='WordPredictHead', in_channels=640, num_words=2048),
    target=dict(type='VisualWordsTarget', backbone=_backbone, num_words=2048),
)
_view = dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view, _plain]))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='StepLR', milestones=[0.3, 0.6, 0.8], gamma=0.2)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
