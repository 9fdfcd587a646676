"""GreenMIM, Swin-B with windows of 7, 800 epochs.

    tools/dist_train.sh configs/greenmim/greenmim_swin-base_8xb256-800e_in1k.py 8

Cost: 500,000 steps of 2048 images, of which a quarter is encoded. Not measured here.
Expected: 83.8 % fine-tuned for 100 epochs (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 800

model = dict(
    type='GreenMIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='GroupedSwin', name='swin_base_patch4_window7_224'),
    masker=dict(type='SharedMasker', ratio=0.75, patch_size=32),
    neck=dict(
        type='MAEDecoder',
        in_channels=1024,
        out_channels=3072,
        grid_size=7,
        embed_dim=512,
        depth=1,
        num_heads=16,
        num_prefix_tokens=0,
    ),
    target=dict(type='PixelTarget', patch_size=32, standardize=True),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.2, interpolation='bicubic')]
train_dataloader = dict(batch_size=256, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='AdamW', lr=8e-4, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0),
        custom_keys=dict(mask_token=dict(decay_mult=0), relative_position_bias_table=dict(decay_mult=0)),
    ),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=40)
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
