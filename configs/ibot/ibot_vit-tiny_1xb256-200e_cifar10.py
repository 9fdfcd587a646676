"""iBOT, a tiny ViT with patches of 4 pixels, 200 epochs of CIFAR-10.

    python tools/train.py configs/ibot/ibot_vit-tiny_1xb256-200e_cifar10.py

Cost: 39,000 steps of 256 images in 2 views of 32 and 4 of 16 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
_warmup = dict(start_temperature=0.04, temperature=0.07, warmup=0.15)

model = dict(
    type='IBOT',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer', arch='tiny', img_size=32, patch_size=4, output='tokens', drop_path_rate=0.1
    ),
    neck=dict(type='IBOTProjector', in_channels=192, hidden_channels=1024, out_channels=2048, patch_channels=2048),
    head=dict(type='ViewCrossEntropyLoss'),
    patch_head=dict(type='PatchCrossEntropyLoss'),
    masker=dict(type='RatioMasker', patch_size=4),
    teacher=dict(momentum=0.99),
    targets=_warmup,
    patch_targets=_warmup,
)
custom_hooks = [dict(type='FreezeHook', name='neck.last_layer'), dict(type='FreezeHook', name='neck.patch_layer')]

_view = dict(type='AugmentedView', jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2, interpolation='bicubic')
_local = dict(_view, size=16, min_scale=0.05, max_scale=0.3)
_global = dict(_view, size=32, min_scale=0.3)
train_dataloader = dict(batch_size=256, dataset=dict(views=[_global, dict(_global, solarize=0.2), *[_local] * 4]))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.04),
    clip_grad=dict(max_norm=3.0, per_tensor=True),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup_epochs=10, end_factor=2e-3),
    dict(type='CosineWeightDecay', end_factor=10),
]
auto_scale_lr = dict(base_batch_size=256, rule='linear')
