"""I-JEPA, ViT-H/14, 300 epochs.

    tools/dist_train.sh configs/ijepa/ijepa_vit-huge_16xb128-300e_in1k.py 16

Cost: 187,500 steps of 2048 images; the teacher encodes every patch, the student about a third. Not measured here.
Expected: no figure in the official repository, which shows plots; see the card.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 300

model = dict(
    type='IJEPA',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='PatchViT', arch='huge', patch_size=14, position='mae', output='tokens'),
    masker=dict(type='MultiBlockMasker', patch_size=14),
    neck=dict(type='JEPAPredictor', in_channels=1280, grid_size=16, embed_dim=384, depth=12, num_heads=16),
    head=dict(type='SmoothL1Loss'),
    teacher=dict(momentum=0.996, schedule='linear'),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.3, flip=0.0)]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup_epochs=40, start_factor=0.2, end_factor=1e-3),
    dict(type='CosineWeightDecay', end_factor=10),  # to 0.4
]
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
