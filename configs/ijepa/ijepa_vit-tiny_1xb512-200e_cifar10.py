"""I-JEPA, a tiny ViT with patches of 4 pixels, 200 epochs of CIFAR-10.

    python tools/train.py configs/ijepa/ijepa_vit-tiny_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200

model = dict(
    type='IJEPA',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='PatchViT', arch='tiny', img_size=32, patch_size=4, position='mae', output='tokens'),
    masker=dict(type='MultiBlockMasker', min_context=8, patch_size=4),
    neck=dict(type='JEPAPredictor', in_channels=192, grid_size=8, embed_dim=96, depth=4, num_heads=3),
    head=dict(type='SmoothL1Loss'),
    teacher=dict(momentum=0.996, schedule='linear'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.3, flip=0.0)]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup_epochs=20, start_factor=0.2, end_factor=1e-3),
    dict(type='CosineWeightDecay', end_factor=10),  # to 0.4
]
auto_scale_lr = dict(base_batch_size=512, rule='linear')
