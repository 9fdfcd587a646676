"""A robust wide ResNet-16-4 for MNIST by adversarial training with PGD-10: a teacher of IGAM.

    python tools/train.py configs/igam/stages/adversarial_wideresnet16-4_1xb128-20e_mnist.py

Cost: 9,360 steps of 128 images of 28 px, each with ten attacks. Not measured here.

No code for this teacher was released: network, length and the radius of 0.3 of the range are this project's choice.
"""

_base_ = ['../../_base_/datasets/mnist_labels.py', '../../_base_/default_runtime.py']

max_epochs = 20

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),  # pixels of 0-255
    backbone=dict(
        type='AdaptedInput',
        steps=[dict(type='PerImageNorm', scale='std')],
        network=dict(type='WideResNet', depth=16, width_factor=4, variant='madry'),
    ),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=256, num_classes=10),
    attack=dict(type='PGDAttack', epsilon=76.5, step_size=19.0, num_steps=10),
)

_view = dict(type='PaddedCropView', size=28, padding=2, flip=0.0)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=2e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='StepLR', milestones=[0.5, 0.75], by_epoch=False)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
