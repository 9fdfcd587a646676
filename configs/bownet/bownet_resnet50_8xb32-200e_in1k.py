"""BoWNet, ResNet-50, 200 epochs, words of block 4 ("conv5") of a RotNet; K = 8192 words, each counted once.

    tools/dist_train.sh configs/bownet/bownet_resnet50_8xb32-200e_in1k.py 8

Cost: RotNet's 700,630 steps of 128 images in four rotations, a vocabulary of 501,760 x 2048, 1,000,800 steps of 256
images, on 8 GPUs. Not measured here.
Expected: no verified figure.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

_frozen = dict(type='ResNet', depth=50)
_plain = dict(type='CenterCropView', resize=256, size=224)
_data = dict(type='ImageFolder', data_root='data/imagenet/train', transform=_plain)
stages = [
    dict(name='rotnet', recipe='../rotnet/rotnet_resnet50_8xb16-70e_in1k.py'),
    dict(
        name='words',
        step=dict(
            type='FitVocabulary',
            num_words=8192,
            sampled_images=10240,
            backbone=_frozen,
            dataloader=dict(batch_size=128, num_workers=8, dataset=_data),
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
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='WordPredictHead', in_channels=2048, num_words=8192),
    target=dict(type='VisualWordsTarget', backbone=_frozen, num_words=8192, binary=True),
)
_view = dict(type='AugmentedView', size=224, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view, _plain]))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
