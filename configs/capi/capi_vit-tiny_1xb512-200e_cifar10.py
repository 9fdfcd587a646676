"""CAPI, a tiny ViT with patches of 4 pixels, 200 epochs of CIFAR-10.

    python tools/train.py configs/capi/capi_vit-tiny_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200

model = dict(
    type='CAPI',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='CAPIViT', arch='tiny', patch_size=4, registers=4, output='tokens'),
    masker=dict(type='InverseBlockMasker', predicted=0.25, patch_size=4),
    neck=dict(type='CAPIPredictor', in_channels=192, out_channels=512, depth=4, num_heads=3),
    head=dict(type='OnlineClusterHead', in_channels=192, num_clusters=512),
    teacher=dict(momentum=0.996, schedule='truncated'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.6, interpolation='bicubic')]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0.1),
        custom_keys={
            'patch_embed': dict(lr_mult=0.2),
            'patch_embed.proj.bias': dict(lr_mult=0.2, decay_mult=0),
            'head.clusters': dict(lr_mult=0.5, decay_mult=0.1),
        },
    ),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20, peak_in_warmup=True, part=0.8)
auto_scale_lr = dict(base_batch_size=512, rule='sqrt')
