"""BEiT, a tiny ViT with patches of 4 pixels and words by k-means on patches, 400 epochs of CIFAR-10.

    python tools/train.py configs/beit/beit_vit-tiny_1xb512-400e_cifar10.py

Cost: 38,800 steps of 512 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 400

model = dict(
    type='BEiT',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='BEiTViT', arch='tiny', img_size=32, patch_size=4, output='tokens', layer_scale=0.1),
    masker=dict(type='BlockwiseMasker', num_hidden=25, min_block=4, patch_size=4),
    target=dict(type='TokenizerTarget', tokenizer=dict(type='PatchCodebook', num_tokens=1024, patch_size=4)),
    neck=dict(type='PatchPredictor', in_channels=192, out_channels=1024, bound=0.02),
    head=dict(type='MaskedCrossEntropyLoss'),
)
custom_hooks = [dict(type='FitTokenizerHook', num_images=2048)]

_views = [dict(type='AugmentedView', size=32, min_scale=0.2, interpolation='bicubic')]
train_dataloader = dict(batch_size=512, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0), custom_keys=dict(cls_token=dict(decay_mult=0))),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20, peak_in_warmup=True, end_factor=0.01)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
