"""BYOL on photo patches: ``make demo METHOD=byol``.

The predictor learns ten times as fast as the rest: in so few steps it otherwise stays far from its optimum, see
``configs/byol/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 12

model = dict(
    type='BYOL',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(type='MLPProjector', in_channels=128, hidden_channels=256, out_channels=64, bias=True),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(type='MLPProjector', in_channels=64, hidden_channels=256, out_channels=64, bias=True),
        loss=dict(type='CosineRegressionLoss'),
    ),
    teacher=dict(momentum=0.98, schedule='cosine'),
)

# Colour identifies a photograph, so it is jittered little. Views of 24 px keep crops near the scale of the 32-px patch.
_view = dict(type='AugmentedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys=dict(predictor=dict(lr_mult=10))),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
