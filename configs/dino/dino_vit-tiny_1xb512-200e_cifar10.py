"""DINO, a tiny ViT with patches of 4 pixels, 200 epochs of CIFAR-10.

    python tools/train.py configs/dino/dino_vit-tiny_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 images in 2 views of 32 and 6 of 16 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='DINO',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch='tiny',
        img_size=32,
        patch_size=4,
        position=dict(resample='dino'),
        drop_path_rate=0.1,
    ),
    neck=dict(type='DINOProjector', in_channels=192, hidden_channels=2048, out_channels=4096),
    head=dict(type='ViewCrossEntropyLoss', temperature=0.1),
    teacher=dict(momentum=0.996, schedule='cosine'),
    targets=dict(temperature=0.04),
)
custom_hooks = [dict(type='FreezeHook', name='neck.last_layer', epochs=1)]

_view = dict(type='AugmentedView', interpolation='bicubic', jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
_global = dict(_view, size=32, min_scale=0.4)
_local = dict(_view, size=16, min_scale=0.05, max_scale=0.4)
_views = [_global, dict(_global, solarize=0.2), *[_local] * 6]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0, per_tensor=True),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup_epochs=10, peak_in_warmup=True, end_factor=1e-3),
    dict(type='CosineWeightDecay', end_factor=10),  # to 0.4
]
auto_scale_lr = dict(base_batch_size=512, rule='linear')
