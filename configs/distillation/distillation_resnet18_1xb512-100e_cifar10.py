"""Distillation of a tiny ViT, trained by DINO, into a ResNet-18, 100 epochs of CIFAR-10; DINO is the first stage.

    python tools/train.py configs/distillation/distillation_resnet18_1xb512-100e_cifar10.py

Cost: DINO's 19,400 steps, then 9,700 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 100
sync_bn = True

stages = [
    dict(name='teacher', recipe='../dino/dino_vit-tiny_1xb512-200e_cifar10.py'),
    dict(name='student', takes={'model.target.checkpoint': 'teacher.backbone'}),
]

model = dict(
    type='Distillation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    target=dict(
        type='FeatureTarget',
        backbone=dict(type='VisionTransformer', arch='tiny', img_size=32, patch_size=4, output='tokens'),
        grid_size=4,
    ),
    neck=dict(type='FeatureProjector', in_channels=512, out_channels=192),
    head=dict(type='NegativeCosineLoss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1))]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
