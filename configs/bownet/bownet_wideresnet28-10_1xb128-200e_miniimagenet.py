"""BoWNet, wide ResNet-28-10, 200 epochs of MiniImageNet at 84 px, from a RotNet; K = 2048 words, counted.

    python tools/train.py configs/bownet/bownet_wideresnet28-10_1xb128-200e_miniimagenet.py

Cost: for 64 classes of 600 images, 54,000 steps of RotNet, a vocabulary of 247,808 x 640 and 54,000 steps of 128
images, on one GPU. Not measured here.
Expected: no verified figure. 2048 words are the paper's; 28-10 (width not verified) and the rest are chosen here.
"""

_base_ = ['../_base_/datasets/miniimagenet.py', '../_base_/default_runtime.py']

max_epochs = 200

_backbone = dict(type='WideResNet', depth=28, width_factor=10, strides=(2, 2, 2))
_plain = dict(type='CenterCropView', size=84)
_data = dict(type='ClassFolder', data_root='data/miniimagenet/train', split='train', transform=_plain)
_rotnet = dict(
    model=dict(
        _delete_=True,
        type='RotNet',
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=_backbone,
        neck=dict(type='Identity'),
        head=dict(type='LinearClsHead', in_channels=640, num_classes=4),
    ),
    train_dataloader=dict(dataset=dict(views=[dict(type='AugmentedView', size=84, min_scale=0.3)])),
)
stages = [
    dict(name='rotnet', config=_rotnet),
    dict(
        name='words',
        step=dict(
            type='FitVocabulary',
            num_words=2048,
            sampled_images=2048,
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
    head=dict(type='WordPredictHead', in_channels=640, num_words=2048),
    target=dict(type='VisualWordsTarget', backbone=_backbone, num_words=2048),
)
_view = dict(type='AugmentedView', size=84, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view, _plain]))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = dict(type='StepLR', milestones=[0.3, 0.6, 0.8], gamma=0.2)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
