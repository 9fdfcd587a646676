"""DINO, ViT-S/16, 100 epochs, the official vanilla run.

    tools/dist_train.sh configs/dino/dino_vit-small_8xb64-100e_in1k.py 8

Cost: 250,200 steps of 512 images in 2 + 8 views; the official run took 1.75 days on 8 GPUs. Not measured here.
Expected: 69.3 % kNN, 74.0 % linear top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 100
sync_bn = True

model = dict(
    type='DINO',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='VisionTransformer', arch='small', position=dict(resample='dino'), drop_path_rate=0.1),
    neck=dict(type='DINOProjector', in_channels=384, hidden_channels=2048, out_channels=65536),
    head=dict(type='ViewCrossEntropyLoss', temperature=0.1),
    teacher=dict(momentum=0.996, schedule='cosine'),
    targets=dict(temperature=0.04),
)
custom_hooks = [dict(type='FreezeHook', name='neck.last_layer', epochs=1)]

_view = dict(type='AugmentedView', interpolation='bicubic', jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
_global = dict(_view, size=224, min_scale=0.4)
_local = dict(_view, size=96, min_scale=0.05, max_scale=0.4, blur=0.5)
_views = [dict(_global, blur=1.0), dict(_global, blur=0.1, solarize=0.2), *[_local] * 8]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    clip_grad=dict(max_norm=3.0, per_tensor=True),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup_epochs=10, peak_in_warmup=True, end_factor=1e-3),
    dict(type='CosineWeightDecay', end_factor=10),  # to 0.4
]
auto_scale_lr = dict(base_batch_size=512, rule='linear')
