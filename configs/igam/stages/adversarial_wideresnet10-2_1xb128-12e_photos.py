"""A small robust network for photo patches by adversarial training with PGD-3: the teacher of IGAM on a CPU.

    python tools/train.py configs/igam/stages/adversarial_wideresnet10-2_1xb128-12e_photos.py

Cost: 672 steps of 128 images of 32 px, each with three attacks: minutes on two CPU cores.
"""

_base_ = ['../../_base_/datasets/photo_patches_attacked.py', '../../_base_/default_runtime.py']

max_epochs = 12

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),  # pixels of 0-255
    backbone=dict(
        type='AdaptedInput',
        steps=[dict(type='PerImageNorm', scale='std')],
        network=dict(type='WideResNet', depth=10, width_factor=2, strides=(2, 2, 2), variant='madry'),
    ),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=128, num_classes=18),
    attack=dict(type='PGDAttack', epsilon=8.0, step_size=4.0, num_steps=3),
)

# The teacher and the student train on different patches of the photographs.
_view = dict(type='PaddedCropView', size=32, padding=2)
train_dataloader = dict(batch_size=128, dataset=dict(patch_seed=1, views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=2e-4),
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
