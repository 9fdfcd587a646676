"""DetCo on photo patches: ``make demo METHOD=detco``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

model = dict(
    type='DetCo',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(0, 1, 2)),
    neck=dict(type='GlobalLocalProjector', stage_channels=(32, 64, 128), out_channels=64),
    head=dict(type='QueueContrastLoss', temperature=0.2),
    teacher=dict(momentum=0.98, schedule='constant'),
    queue=dict(length=2048, dim=64),
    stage_weights=(0.1, 0.4, 1.0),
    norm_group_size=64,
)

# Colour identifies a photograph, so it is jittered little. Views of 24 px keep crops near the scale of the 32-px patch.
_colors = dict(jitter=(0.1, 0.1, 0.1, 0.0))
_view = dict(type='AugmentedView', size=24, min_scale=0.2, **_colors)
_tiles = dict(type='ShuffledTileView', size=24, crop=30, min_scale=0.6, flip=0.5, photometric=_colors)
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view, _view, _tiles, _tiles]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
