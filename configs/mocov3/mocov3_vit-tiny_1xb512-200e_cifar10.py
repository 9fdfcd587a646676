"""MoCo v3, a tiny ViT with patches of 4 pixels, 200 epochs of CIFAR-10.

    python tools/train.py configs/mocov3/mocov3_vit-tiny_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='MoCoV3',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch='tiny',
        img_size=32,
        patch_size=4,
        position='sincos',
        init='mocov3',
        frozen_patch_embed=True,
    ),
    neck=dict(
        type='MLPProjector', in_channels=192, hidden_channels=2048, out_channels=256, num_layers=3, last_norm='plain'
    ),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(type='MLPProjector', in_channels=256, hidden_channels=2048, out_channels=256, last_norm='plain'),
        loss=dict(type='InfoNCELoss', temperature=0.2),
    ),
    teacher=dict(momentum=0.99, schedule='cosine'),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view, dict(_view, solarize=0.2)]))

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.1))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
