"""MoCo v3, a tiny ViT with patches of 4 pixels, 200 epochs of CIFAR-10.

    python tools/train.py configs/mocov3/mocov3_vit-tiny_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = 'mocov3_resnet18_1xb512-200e_cifar10.py'

_patches = dict(arch='tiny', img_size=32, patch_size=4, position='sincos')
model = dict(
    backbone=dict(_delete_=True, type='VisionTransformer', **_patches, init='mocov3', patch_embed='frozen'),
    neck=dict(in_channels=192, hidden_channels=2048, num_layers=3),
    head=dict(predictor=dict(hidden_channels=2048, last_norm='plain')),
)
_adamw = dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.1)
optim_wrapper = dict(optimizer=dict(_delete_=True, **_adamw))
param_scheduler = dict(warmup_epochs=20)
