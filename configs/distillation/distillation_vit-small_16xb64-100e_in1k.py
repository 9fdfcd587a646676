"""Distillation of a ViT-B/16 into a ViT-S/16, features of images and of patches, 100 epochs.

    tools/dist_train.sh configs/distillation/distillation_vit-small_16xb64-100e_in1k.py 16

The teacher is DINO's ``dino_vitbase16_pretrain.pth`` in ``data/dino/``; ``model.target.backbone`` and
``model.target.checkpoint`` name another one.

Cost: 125,100 steps of 1024 images, encoded by student and teacher. Not measured here.
Expected: no published figure; the settings are this project's.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 100

model = dict(
    type='Distillation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='VisionTransformer', arch='small', output='tokens', drop_path_rate=0.05),
    target=dict(
        type='FeatureTarget',
        backbone=dict(type='VisionTransformer', arch='base', output='tokens', position=dict(resample='dino')),
        checkpoint='data/dino/dino_vitbase16_pretrain.pth',
    ),
    neck=dict(type='FeatureProjector', in_channels=384, out_channels=768, kinds=('pooled', 'dense')),
    head=dict(type='NegativeCosineLoss'),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.25, interpolation='bicubic', jitter=(0.4, 0.4, 0.4, 0.0))]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0), custom_keys=dict(cls_token=dict(decay_mult=0), pos_embed=dict(decay_mult=0))
    ),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5)
auto_scale_lr = dict(base_batch_size=1024, rule='linear')
