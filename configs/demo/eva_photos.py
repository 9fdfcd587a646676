"""EVA's objective on photo patches: ``make demo METHOD=eva``.

A small ResNet learns with SimCLR; a small ViT then predicts its features at hidden patches.
"""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 8

_backbone = dict(type='ResNet', depth=18, width=0.25, stem='small', out_indices=(2,))
_teacher = dict(max_epochs=5, model=dict(backbone=_backbone, neck=dict(in_channels=64)))
stages = [
    dict(name='simclr', recipe='simclr_photos.py', config=_teacher),
    dict(name='student', takes={'model.target.checkpoint': 'simclr.backbone'}),
]

model = dict(
    type='MaskedDistillation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dim=128, depth=4, num_heads=4),
        img_size=32,
        patch_size=4,
        output='tokens',
    ),
    masker=dict(type='BlockwiseMasker', num_hidden=26, min_block=4, patch_size=4),
    target=dict(
        type='FeatureTarget',
        backbone=_backbone,
        standardize=True,
    ),
    neck=dict(type='PatchPredictor', in_channels=128, out_channels=64),
    head=dict(type='MaskedCosineLoss', hidden_only=False),
)

_views = [dict(type='AugmentedView', size=32, min_scale=0.2)]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
