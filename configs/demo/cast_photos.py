"""CAST on photo patches with estimated saliency: ``make demo METHOD=cast``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 12

_linear = dict(type='MLPProjector', in_channels=128, hidden_channels=None, out_channels=64, num_layers=1)
model = dict(
    type='CAST',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(**_linear, last_bias=True),
    head=dict(type='QueueContrastLoss', temperature=0.2),
    teacher=dict(momentum=0.98, schedule='constant'),
    queue=dict(length=2048, dim=64),
    attention_weight=0.75,
    norm_group_size=64,
)

# Colour identifies a photograph, so it is jittered little. Views of 24 px keep crops near the scale of the 32-px patch.
_view = dict(type='SalientView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
_images = dict(type='PhotoPatches', split='train')
train_dataloader = dict(
    batch_size=256, dataset=dict(_delete_=True, type='SalientImages', dataset=_images, views=[_view, _view])
)

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=5e-4), clip_grad=dict(max_norm=2.0))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
