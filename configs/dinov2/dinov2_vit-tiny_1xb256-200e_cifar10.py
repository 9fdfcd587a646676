"""DINOv2, a tiny ViT with patches of 4 pixels, registers and SwiGLU, 200 epochs of CIFAR-10.

    python tools/train.py configs/dinov2/dinov2_vit-tiny_1xb256-200e_cifar10.py

Cost: 39,000 steps of 256 images in 2 views of 32 and 4 of 16 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
_targets = dict(kind='sinkhorn', start_temperature=0.04, temperature=0.07, warmup=0.15)
_projector = dict(in_channels=192, hidden_channels=1024, out_channels=2048, freeze_gain=False)

model = dict(
    type='DINOv2',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(size='tiny', registers=4, ffn='swiglu', layer_scale=1e-5),
        img_size=32,
        patch_size=4,
        drop_path_rate=dict(rate=0.1, kind='subset'),
        output='tokens',
    ),
    neck=dict(type='ImagePatchProjector', images=_projector, patches=_projector),
    head=dict(type='ViewCrossEntropyLoss'),
    patch_head=dict(type='PatchCrossEntropyLoss'),
    koleo=dict(type='KoLeoLoss', group_size=64),
    masker=dict(type='StratifiedMasker', patch_size=4),
    targets=_targets,
    patch_targets=_targets,
    teacher=dict(momentum=0.99),
)

_view = dict(type='AugmentedView', grayscale=0.2, jitter=(0.4, 0.4, 0.2, 0.1), interpolation='bicubic')
_local = dict(_view, size=16, min_scale=0.05, max_scale=0.32)
_global = dict(_view, size=32, min_scale=0.32)
_views = [_global, dict(_global, solarize=0.2), *[_local] * 4]
train_dataloader = dict(batch_size=256, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0, parts=[['backbone', 'mask_token'], 'neck.images', 'neck.patches']),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    paramwise_cfg=dict(vectors=dict(decay_mult=0), custom_keys=dict(patch_embed=dict(lr_mult=0.2))),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup_epochs=20, end_factor=1e-3),
    dict(type='CosineWeightDecay', end_factor=5),
]
auto_scale_lr = dict(base_batch_size=256, rule='sqrt')
