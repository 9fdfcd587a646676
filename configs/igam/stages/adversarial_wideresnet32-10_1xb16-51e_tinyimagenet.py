"""A robust wide ResNet-32-10 for Tiny-ImageNet by adversarial training with PGD-7: a teacher of IGAM.

    python tools/train.py configs/igam/stages/adversarial_wideresnet32-10_1xb16-51e_tinyimagenet.py

Cost: 312,375 steps of 16 images of 64 px, each with seven attacks. Not measured here.

The official script takes 320,000 steps of all 100,000 training images; 2,000 of them are for accuracy here.
"""

_base_ = ['../../_base_/datasets/tiny_imagenet_labels.py', '../../_base_/default_runtime.py']

max_epochs = 51

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),  # pixels of 0-255
    backbone=dict(
        type='AdaptedInput',
        steps=[dict(type='PerImageNorm', scale='l2')],
        network=dict(type='WideResNet', depth=32, width_factor=10, variant='madry'),
    ),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=640, num_classes=200, init_std=0.04),
    attack=dict(type='PGDAttack', epsilon=8.0, step_size=2.0, num_steps=7),
)

train_dataloader = dict(batch_size=16, dataset=dict(views=[dict(type='PaddedCropView', size=64, padding=2)]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=2e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='StepLR', milestones=[0.5, 0.75], by_epoch=False)
auto_scale_lr = dict(base_batch_size=16, rule='linear')
