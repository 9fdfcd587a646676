"""CAE, a tiny ViT with patches of 4 pixels and words by k-means on patches, 400 epochs of CIFAR-10.

    python tools/train.py configs/cae/cae_vit-tiny_1xb512-400e_cifar10.py

Cost: 38,800 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 400

_half = dict(in_channels=192, grid_size=8, depth=2, num_heads=3)
model = dict(
    type='CAE',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='CAEViT', arch='tiny', img_size=32, patch_size=4, output='tokens', drop_path_rate=0.1),
    masker=dict(type='BlockwiseMasker', num_hidden=32, min_block=4, exact=True, patch_size=4),
    target=dict(type='TokenizerTarget', tokenizer=dict(type='PatchCodebook', num_tokens=1024, patch_size=4)),
    neck=dict(type='CAERegressor', embed_dim=192, **_half),
    head=dict(type='CAEHead', num_words=1024, **_half),
)
custom_hooks = [dict(type='FitTokenizerHook', num_images=2048)]

_views = [dict(type='AugmentedView', size=32, min_scale=0.2, interpolation='bicubic')]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20, end_factor=0.01)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
