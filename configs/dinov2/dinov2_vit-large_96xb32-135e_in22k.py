"""DINOv2, ViT-L/14, 624,000 steps of ImageNet-22k: the official training without its last steps at 518 px.

    tools/dist_train.sh configs/dinov2/dinov2_vit-large_96xb32-135e_in22k.py 96

Cost: 623,835 steps of 3072 images in 2 + 8 views; the official run took 3.3 days on 96 GPUs. Not measured here.
Expected: 82.0 % kNN, 84.5 % linear top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 135  # 500 official epochs of 1250 steps
_targets = dict(kind='sinkhorn', start_temperature=0.04, temperature=0.07, warmup=0.06)
_projector = dict(in_channels=1024, hidden_channels=2048, out_channels=131072, freeze_gain=False)

model = dict(
    type='DINOv2',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(size='large', ffn='swiglu', layer_scale=1e-5),
        patch_size=14,
        position=dict(resample='dino'),
        output='tokens',
        drop_path_rate=dict(rate=0.4, kind='subset'),
    ),
    neck=dict(
        type='ImagePatchProjector',
        images=dict(_projector, bottleneck_channels=384),
        patches=dict(_projector, bottleneck_channels=256),
    ),
    head=dict(type='ViewCrossEntropyLoss'),
    koleo=dict(type='KoLeoLoss', group_size=32),
    patch_head=dict(type='PatchCrossEntropyLoss'),
    masker=dict(type='StratifiedMasker', patch_size=14),
    teacher=dict(momentum=0.994),
    patch_targets=_targets,
    targets=_targets,
)
_freeze = dict(type='FreezeHook', moments=True)
custom_hooks = [dict(_freeze, name=f'neck.{part}.last_layer') for part in ('images', 'patches')]

_view = dict(type='AugmentedView', interpolation='bicubic', jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
_local = dict(_view, size=98, min_scale=0.05, max_scale=0.32, blur=0.5)
_global = dict(_view, size=224, min_scale=0.32)
_views = [_global, dict(_global, blur=0.9, solarize=0.2), *[_local] * 8]
train_dataloader = dict(batch_size=32, dataset=dict(data_root='data/imagenet22k', views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    clip_grad=dict(max_norm=3.0, parts=[['backbone', 'mask_token'], 'neck.images', 'neck.patches']),
    optimizer=dict(type='AdamW', lr=3.464e-4, weight_decay=0.04),
    paramwise_cfg=dict(vectors=dict(decay_mult=0), custom_keys=dict(patch_embed=dict(lr_mult=0.2))),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup_epochs=21.6, peak_in_warmup=True, end_factor=1e-6 / 3.464e-4),
    dict(type='CosineWeightDecay', end_factor=5),  # to 0.2
]
auto_scale_lr = dict(base_batch_size=3072, rule='sqrt')
