"""MaskFeat, a tiny ViT with patches of 4 pixels, 400 epochs of CIFAR-10.

    python tools/train.py configs/maskfeat/maskfeat_vit-tiny_1xb512-400e_cifar10.py

Cost: 38,800 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 400

model = dict(
    type='MaskFeat',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='VisionTransformer', arch='tiny', img_size=32, patch_size=4, output='tokens', init='maskfeat'),
    masker=dict(type='BlockwiseMasker', num_hidden=26, min_block=5, patch_size=4),
    target=dict(type='HOGTarget', patch_size=4, num_bins=9, cell_size=4),
    neck=dict(type='PatchPredictor', in_channels=192, out_channels=27),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.5, interpolation='bicubic')]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=0.02),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=30, start_factor=0.005, end_factor=0.005)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
