"""A robust wide ResNet-32-10 for CIFAR-10 by adversarial training with PGD-10 (Madry et al., 2018): a teacher of IGAM.

    python tools/train.py configs/igam/stages/adversarial_wideresnet32-10_1xb128-205e_cifar10.py

Cost: 80,000 steps of 128 images, each with ten attacks: eleven times the plain training. Not measured here.
"""

_base_ = ['../../_base_/datasets/cifar10_labels.py', '../../_base_/default_runtime.py']

max_epochs = 205  # 80,000 steps

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),  # pixels of 0-255
    backbone=dict(
        type='AdaptedInput',
        steps=[dict(type='PerImageNorm', scale='std')],
        network=dict(type='WideResNet', depth=32, width_factor=10, variant='madry'),
    ),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=640, num_classes=10, init_std=0.04),
    attack=dict(type='PGDAttack', epsilon=8.0, step_size=2.0, num_steps=10),
)

train_dataloader = dict(batch_size=128, dataset=dict(views=[dict(type='PaddedCropView', size=32, padding=2)]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=2e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='StepLR', milestones=[0.5, 0.75], by_epoch=False)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
