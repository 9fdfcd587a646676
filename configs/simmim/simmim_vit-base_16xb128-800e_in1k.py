"""SimMIM, ViT-B/16, 800 epochs.

    tools/dist_train.sh configs/simmim/simmim_vit-base_16xb128-800e_in1k.py 16

Cost: 500,000 steps of 2048 images, all patches encoded. Not measured here.
Expected: 83.8 % fine-tuned (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 800

model = dict(
    type='SimMIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='BEiTViT', arch='base', output='maps', relative_table='shared', layer_scale=0.1, drop_path_rate=0.1
    ),
    masker=dict(type='SimMIMMasker', ratio=0.6, unit_size=32, patch_size=16),
    neck=dict(type='PixelShuffleDecoder', in_channels=768, stride=16),
    target=dict(type='PixelTarget', patch_size=16, standardize=False),
    head=dict(type='MaskedL1Loss'),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.67)]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    clip_grad=dict(max_norm=5.0),
    optimizer=dict(type='AdamW', lr=4e-4, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0), custom_keys=dict(cls_token=dict(decay_mult=0))),
)
param_scheduler = dict(type='StepLR', milestones=[7 / 8], by_epoch=False, warmup_epochs=10, start_factor=0.005, delay=1)
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
