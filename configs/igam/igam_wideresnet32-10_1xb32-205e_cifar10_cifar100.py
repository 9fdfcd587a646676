"""IGAM, CIFAR-10 to CIFAR-100, wide ResNet-32-10: robust teacher, its logits, student, with the official settings.

    python tools/train.py configs/igam/igam_wideresnet32-10_1xb32-205e_cifar10_cifar100.py

Cost: 80,000 steps of 128 images with ten attacks each, 4,700 steps of a linear layer, 320,000 steps of 32 images, the
last 40,000 with gradients of gradients. Not measured here.
Expected: no figure that could be verified.
"""

_base_ = ['../_base_/datasets/cifar100_labels.py', '../_base_/default_runtime.py']

max_epochs = 205  # 320,000 steps

stages = [
    dict(name='teacher', recipe='stages/adversarial_wideresnet32-10_1xb128-205e_cifar10.py'),
    dict(
        name='logits',
        recipe='stages/logits_wideresnet32-10_1xb128-12e_cifar10_cifar100.py',
        takes={'load_from': 'teacher.backbone'},
        leaves=dict(checkpoint='checkpoint.pth'),
    ),
    dict(name='student', takes={'model.teacher.checkpoint': 'logits.checkpoint'}),
]

_network = dict(type='WideResNet', depth=32, width_factor=10, variant='madry')
_head = dict(type='LinearClsHead', in_channels=640, num_classes=100, init_std=0.04)
model = dict(
    type='IGAM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),  # pixels of 0-255
    backbone=dict(type='AdaptedInput', steps=[dict(type='PerImageNorm', scale='l2')], network=_network),
    neck=dict(type='Identity'),
    head=_head,
    teacher=dict(
        type='FrozenClassifier',
        checkpoint=None,
        backbone=dict(type='AdaptedInput', steps=[dict(type='PerImageNorm', scale='std')], network=_network),
        head=_head,
    ),
    discriminator=dict(type='GradientDiscriminator', num_layers=5, base_channels=16),
    adversarial_weight=2.0,
    difference_weight=320.0,
    noise=8.0,
)

train_dataloader = dict(batch_size=32, dataset=dict(views=[dict(type='PaddedCropView', size=32, padding=2)]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=2e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='StepLR', milestones=[0.5, 0.75], by_epoch=False)
auto_scale_lr = dict(base_batch_size=32, rule='linear')
