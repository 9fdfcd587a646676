"""MaskFeat, ViT-L/16, 300 epochs.

    tools/dist_train.sh configs/maskfeat/maskfeat_vit-large_64xb32-300e_in1k.py 64

Cost: 187,500 steps of 2048 images, all patches encoded. Not measured here.
Expected: 84.4 % fine-tuned (official repository: no figure of this length; iTPN's paper quotes this one).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 300

model = dict(
    type='MaskFeat',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='VisionTransformer', arch='large', patch_size=16, output='tokens', init='maskfeat'),
    masker=dict(type='BlockwiseMasker', num_hidden=78, min_block=15, patch_size=16),
    target=dict(type='HOGTarget', patch_size=16, num_bins=9, cell_size=8),
    neck=dict(type='PatchPredictor', in_channels=1024, out_channels=108),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.5, interpolation='bicubic')]
train_dataloader = dict(batch_size=32, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=0.02),
    optimizer=dict(type='AdamW', lr=1.6e-3, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=30, start_factor=0.005, end_factor=0.005)
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
