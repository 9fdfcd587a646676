"""EVA's objective, a tiny ViT that predicts the features of a DINO, 200 epochs of CIFAR-10; DINO is the first stage.

    python tools/train.py configs/eva/eva_vit-tiny_1xb512-200e_cifar10.py

Cost: DINO's 19,400 steps, then 19,400 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200

stages = [
    dict(name='teacher', recipe='../dino/dino_vit-tiny_1xb512-200e_cifar10.py'),
    dict(name='eva', takes={'model.target.checkpoint': 'teacher.backbone'}),
]

_network = dict(type='VisionTransformer', arch='tiny', img_size=32, patch_size=4, output='tokens')
model = dict(
    type='MaskedDistillation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=_network,
    masker=dict(type='BlockwiseMasker', num_hidden=26, min_block=4, patch_size=4),
    target=dict(type='FeatureTarget', backbone=_network, standardize=True),
    neck=dict(type='PatchPredictor', in_channels=192, out_channels=192),
    head=dict(type='MaskedCosineLoss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.2, interpolation='bicubic')]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.98), weight_decay=0.05),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0), custom_keys=dict(cls_token=dict(decay_mult=0), pos_embed=dict(decay_mult=0))
    ),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
