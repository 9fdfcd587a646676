"""DINOv2 on photo patches: ``make demo METHOD=dinov2``.

There is no LayerScale: with 0.1 the three blocks change a token by a tenth of their output, and in these minutes the
class token learns much less, see ``configs/dinov2/README.md``.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 12
_targets = dict(kind='sinkhorn', temperature=0.05)
_projector = dict(in_channels=64, hidden_channels=128, out_channels=128, bottleneck_channels=32, freeze_gain=False)

model = dict(
    type='DINOv2',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dim=64, depth=3, num_heads=2, registers=2),
        img_size=32,
        patch_size=8,
        output='tokens',
    ),
    neck=dict(type='ImagePatchProjector', images=_projector, patches=_projector),
    head=dict(type='ViewCrossEntropyLoss'),
    patch_head=dict(type='PatchCrossEntropyLoss'),
    koleo=dict(type='KoLeoLoss'),
    masker=dict(type='StratifiedMasker', min_block=1, patch_size=8),
    teacher=dict(momentum=0.98),
    targets=_targets,
    patch_targets=_targets,
)

# Colour identifies a photograph, so it is jittered little. A view has 4 x 4 patches, a small one 2 x 2.
_view = dict(type='AugmentedView', jitter=(0.1, 0.1, 0.1, 0.0))
_global = dict(_view, size=32, min_scale=0.3)
_local = dict(_view, size=16, min_scale=0.05, max_scale=0.3)
train_dataloader = dict(batch_size=128, dataset=dict(views=[*[_global] * 2, *[_local] * 2]))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.04),
    clip_grad=dict(max_norm=3.0, parts=[['backbone', 'mask_token'], 'neck.images', 'neck.patches']),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
