"""IGAM on photo patches: a small robust teacher, a student with IGAM, and the same student without.

    python tools/train.py configs/igam/igam_wideresnet10-2_1xb128-12e_photos.py

Cost: three trainings of 672 steps of 128 images of 32 px; ten minutes on two CPU cores by estimate, not measured.
Expected: no published figure; each stage ends with its accuracy on images and under attack.

The student without IGAM is the same algorithm that never matches gradients. The loss weights differ from the article's,
because the scale of a gradient depends on the network and on the quantity that is differentiated. Some patches have one
colour, and ``PerImageNorm`` multiplies the gradient of such an image by up to a million. The noise of the official run
on CIFAR-100 gives them contrast; without it the loss is not finite after about ten steps of matching.
"""

_base_ = ['../_base_/datasets/photo_patches_attacked.py', '../_base_/default_runtime.py']

max_epochs = 12

stages = [
    dict(
        name='teacher',
        recipe='stages/adversarial_wideresnet10-2_1xb128-12e_photos.py',
        leaves=dict(checkpoint='checkpoint.pth'),
    ),
    dict(name='plain', config={'model.matching_start': 0.9999}),
    dict(name='student', takes={'model.teacher.checkpoint': 'teacher.checkpoint'}),
]

_network = dict(type='WideResNet', depth=10, width_factor=2, strides=(2, 2, 2), variant='madry')
_head = dict(type='LinearClsHead', in_channels=128, num_classes=18)
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
    discriminator=dict(type='GradientDiscriminator', num_layers=4, base_channels=8),
    grad_target='cross_entropy',
    matching_start=0.5,
    adversarial_weight=0.5,
    difference_weight=1000.0,
    noise=8.0,
)

train_dataloader = dict(batch_size=128, dataset=dict(views=[dict(type='PaddedCropView', size=32, padding=2)]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=2e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
