"""DINO on photo patches: ``make demo METHOD=dino``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

model = dict(
    type='DINO',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dim=128, depth=4, num_heads=4),
        img_size=32,
        patch_size=4,
        position=dict(resample='dino'),
    ),
    neck=dict(type='DINOProjector', in_channels=128, hidden_channels=512, bottleneck_channels=64, out_channels=1024),
    head=dict(type='ViewCrossEntropyLoss', temperature=0.1),
    teacher=dict(momentum=0.98, schedule='cosine'),
    targets=dict(temperature=0.04),
)

# Colour identifies a photograph, so it is jittered little.
_view = dict(type='AugmentedView', jitter=(0.1, 0.1, 0.1, 0.0))
_global = dict(_view, size=32, min_scale=0.4)
_local = dict(_view, size=16, min_scale=0.05, max_scale=0.4)
train_dataloader = dict(batch_size=64, dataset=dict(views=[_global, _global, *[_local] * 4]))

optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0, per_tensor=True),
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.04),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
