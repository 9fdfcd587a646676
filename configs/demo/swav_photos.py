"""SwAV on photo patches: ``make demo METHOD=swav``.

What was measured is in ``configs/swav/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

model = dict(
    type='SwAV',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='MLPProjector', in_channels=128, hidden_channels=256, out_channels=64),
    head=dict(type='PrototypeHead', in_channels=64, num_prototypes=128),
)

# Colour identifies a photograph, so it is jittered little. Views of 24 and 12 px keep crops near the patch's scale.
_view = dict(type='AugmentedView', jitter=(0.1, 0.1, 0.1, 0.0))
_global = dict(_view, size=24, min_scale=0.3)
_local = dict(_view, size=12, min_scale=0.05, max_scale=0.3)
train_dataloader = dict(batch_size=256, dataset=dict(views=[*[_global] * 2, *[_local] * 2]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
