"""Distillation on photo patches: ``make demo METHOD=distillation``.

A ResNet-18 of a quarter of the width learns with SimCLR; a student of half its width then predicts its features.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 6

_large = dict(type='ResNet', depth=18, width=0.25, stem='small', out_indices=(2,))
_teacher = dict(max_epochs=5, model=dict(backbone=_large, neck=dict(in_channels=64)))
stages = [
    dict(name='simclr', recipe='simclr_photos.py', config=_teacher),
    dict(name='student', takes={'model.target.checkpoint': 'simclr.backbone'}),
]

model = dict(
    type='Distillation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.125, stem='small', out_indices=(2,)),
    target=dict(type='FeatureTarget', backbone=_large),
    neck=dict(type='FeatureProjector', in_channels=32, out_channels=64),
    head=dict(type='NegativeCosineLoss'),
)

_view = dict(type='AugmentedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=64, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
