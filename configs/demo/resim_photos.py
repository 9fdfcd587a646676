"""ReSim on photo patches: ``make demo METHOD=resim``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 12

_projector = dict(type='MLPProjector', in_channels=128, hidden_channels=256, out_channels=64)
model = dict(
    type='ReSim',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(1, 2)),
    neck=dict(
        type='PyramidProjector',
        projector=dict(**_projector, norm=False, bias=True, last_bias=True),
        pyramid=dict(type='TopDownNeck', in_channels=(64, 128), out_channels=64, levels=(3, 4)),
    ),
    head=dict(type='QueueContrastLoss', temperature=0.2),
    teacher=dict(momentum=0.98, schedule='constant'),
    queue=dict(length=2048, dim=64),
    windows=[dict(side=8, stride=6), dict(side=12, stride=8)],  # 3 x 3 and 2 x 2 windows
    region_loss=dict(type='RegionContrastLoss', temperature=0.2),
    norm_group_size=64,
)

# Colour identifies a photograph, so it is jittered little. Views of 24 px keep crops near the scale of the 32-px patch.
_view = dict(type='AlignedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
