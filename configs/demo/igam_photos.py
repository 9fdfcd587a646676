"""IGAM on photo patches: ``make demo METHOD=igam``.

Three trainings: a robust teacher by adversarial training, a student that never matches gradients, and the same student
that matches those of the teacher in the second half. The report shows the input gradients of all three.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

_slots = dict(
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),  # pixels of 0-255
    backbone=dict(
        type='AdaptedInput',
        steps=[dict(type='PerImageNorm', scale='std')],
        network=dict(type='WideResNet', depth=10, width_factor=1, strides=(2, 2, 2), variant='madry'),
    ),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=64, num_classes=18),
)
_attack = dict(type='PGDAttack', epsilon=8.0, step_size=4.0, num_steps=3)
stages = [
    dict(
        name='teacher',
        config=dict(model=dict(_delete_=True, type='ImageClassifier', attack=_attack, **_slots)),
        leaves=dict(checkpoint='checkpoint.pth'),
    ),
    dict(name='plain', config={'model.matching_start': 0.9999}),
    dict(name='student', takes={'model.teacher.checkpoint': 'teacher.checkpoint'}),
]

model = dict(
    type='IGAM',
    teacher=dict(type='FrozenClassifier', checkpoint=None, backbone=_slots['backbone'], head=_slots['head']),
    discriminator=dict(type='GradientDiscriminator', num_layers=4, base_channels=8),
    grad_target='cross_entropy',
    matching_start=0.5,
    adversarial_weight=0.5,
    difference_weight=1000.0,
    noise=8.0,  # patches of one colour would have gradients without bound
    **_slots,
)

train_dataloader = dict(batch_size=128, dataset=dict(views=[dict(type='AugmentedView', size=32, min_scale=0.5)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=2e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
