"""SimCLR on photo patches: ``make demo``.

Five minutes on two CPU cores with bfloat16. What was measured is in ``configs/simclr/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 12

model = dict(
    type='SimCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='MLPProjector', in_channels=128, hidden_channels=256, out_channels=64),
    head=dict(type='NTXentLoss', temperature=0.2, reduction='mean'),
)

# Colour identifies a photograph, so it is jittered little. Views of 24 px keep crops near the scale of the 32-px patch.
_view = dict(type='AugmentedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
