"""AMDIM on photo patches: ``make demo METHOD=amdim``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 6

model = dict(
    type='AMDIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='AMDIMEncoder', width=32, out_channels=128, num_units=2, img_size=32, norm=True),
    neck=dict(type='AMDIMProjector', in_channels=128, out_channels=128, norm=True),
    head=dict(type='LocalInfoLoss'),
)

# Colour identifies a photograph, so it is jittered little. The encoder takes views of 32 pixels.
_view = dict(type='AugmentedView', size=32, min_scale=0.3, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='Adam', lr=5e-4, betas=(0.8, 0.999), weight_decay=1e-5))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
