"""IGAM, Tiny-ImageNet to CIFAR-10, wide ResNet-32-10, with the official settings.

    python tools/train.py configs/igam/igam_wideresnet32-10_1xb32-205e_tinyimagenet_cifar10.py

Cost: the teacher's 312,375 steps, 4,686 of a linear layer, 320,000 of 32 images for the student. Not measured here.
Expected: no figure that could be verified.
"""

_base_ = ['../_base_/datasets/cifar10_labels.py', '../_base_/default_runtime.py']

max_epochs = 205  # 320,000 steps

stages = [
    dict(name='teacher', recipe='stages/adversarial_wideresnet32-10_1xb16-51e_tinyimagenet.py'),
    dict(
        name='logits',
        recipe='stages/logits_wideresnet32-10_1xb64-6e_tinyimagenet_cifar10.py',
        takes={'load_from': 'teacher.backbone'},
        leaves=dict(checkpoint='checkpoint.pth'),
    ),
    dict(name='student', takes={'model.teacher.checkpoint': 'logits.checkpoint'}),
]

model = dict(
    type='IGAM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),  # pixels of 0-255
    backbone=dict(
        type='AdaptedInput',
        steps=[dict(type='PerImageNorm', scale='l2')],
        network=dict(type='WideResNet', depth=32, width_factor=10, variant='madry'),
    ),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=640, num_classes=10, init_std=0.04),
    teacher=dict(
        type='FrozenClassifier',
        checkpoint=None,
        backbone=dict(
            type='AdaptedInput',
            steps=[dict(type='FitImages', size=64, way='resize_tf'), dict(type='PerImageNorm', scale='l2')],
            network=dict(type='WideResNet', depth=32, width_factor=10, variant='madry'),
        ),
        head=dict(type='LinearClsHead', in_channels=640, num_classes=10),
    ),
    discriminator=dict(type='GradientDiscriminator', num_layers=4, base_channels=8),
    adversarial_weight=5.0,
    difference_weight=320.0,
)

train_dataloader = dict(batch_size=32, dataset=dict(views=[dict(type='PaddedCropView', size=32, padding=2)]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=2e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='StepLR', milestones=[0.5, 0.75], by_epoch=False)
auto_scale_lr = dict(base_batch_size=32, rule='linear')
