"""A2MIM, ViT-B/16, 800 epochs.

    tools/dist_train.sh configs/a2mim/a2mim_vit-base_16xb128-800e_in1k.py 16

Cost: 500,000 steps of 2048 images, all patches encoded; the official run used 8 processes with two steps of 128 images
each. Not measured here.
Expected: 84.2 % fine-tuned for 100 epochs (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 800

model = dict(
    type='A2MIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='BEiTViT', arch='base', output='maps', layer_scale=0.1, drop_path_rate=0.1),
    mask_token=dict(layer='patch_embed', channels=768),
    masker=dict(type='SimMIMMasker', ratio=0.6, unit_size=32, patch_size=16),
    neck=dict(
        type='PixelShuffleDecoder',
        in_channels=768,
        stride=16,
        init_cfg=dict(type='TruncNormal', layer='Conv2d', std=0.02),
    ),
    target=dict(type='PixelTarget', patch_size=16, standardize=False),
    head=dict(type='A2MIMLoss', focal=False, frequency_weight=0.1, visible_weight=0.0),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.67)]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))

optim_wrapper = dict(
    clip_grad=dict(max_norm=5.0),
    optimizer=dict(type='AdamW', lr=4e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0),
        custom_keys=dict(cls_token=dict(decay_mult=0), relative_position_bias_table=dict(decay_mult=0)),
    ),
)
param_scheduler = dict(type='StepLR', milestones=[7 / 8], by_epoch=False, warmup_epochs=10, start_factor=2e-6)
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
