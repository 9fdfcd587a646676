"""iBOT on photo patches: ``make demo METHOD=ibot``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 14

model = dict(
    type='IBOT',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dim=96, depth=4, num_heads=3),
        img_size=24,
        patch_size=4,
        output='tokens',
    ),
    neck=dict(type='DINOProjector', in_channels=96, hidden_channels=256, out_channels=256, bottleneck_channels=64),
    head=dict(type='ViewCrossEntropyLoss'),
    patch_head=dict(type='PatchCrossEntropyLoss'),
    masker=dict(type='RatioMasker', patch_size=4),
    teacher=dict(momentum=0.98),
    targets=dict(temperature=0.04),
    patch_targets=dict(temperature=0.04),
)

# Colour identifies a photograph, so it is jittered little. Views of 24 and 12 px keep crops near the patch's scale.
_view = dict(type='AugmentedView', jitter=(0.1, 0.1, 0.1, 0.0))
_global = dict(_view, size=24, min_scale=0.3)
_local = dict(_view, size=12, min_scale=0.05, max_scale=0.3)
train_dataloader = dict(batch_size=128, dataset=dict(views=[*[_global] * 2, *[_local] * 2]))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    clip_grad=dict(max_norm=3.0),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
