"""SimMIM, Swin-B with windows of 6, 192 px, 800 epochs.

    tools/dist_train.sh configs/simmim/simmim_swin-base_16xb128-800e_in1k.py 16

Cost: 500,000 steps of 2048 images of 192 px, all patches encoded; the official run used 16 GPUs of 32 GB. Not measured
here.
Expected: 84.0 % fine-tuned at 224 px (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 800

model = dict(
    type='SimMIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='TimmBackbone',
        name='swin_base_patch4_window7_224',
        pool=False,
        img_size=192,
        window_size=6,
        drop_path_rate=0.0,
    ),
    masker=dict(type='SimMIMMasker', ratio=0.6, unit_size=32, patch_size=4),
    neck=dict(type='PixelShuffleDecoder', in_channels=1024, stride=32),
    target=dict(type='PixelTarget', patch_size=4, standardize=False),
    head=dict(type='MaskedL1Loss'),
)

_views = [dict(type='AugmentedView', size=192, min_scale=0.67)]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))
_plain = dict(type='CenterCropView', resize=219, size=192)  # the backbone takes one image size only
val_dataloader = dict(dataset=dict(transform=_plain))
val_cfg = dict(bank_dataloader=dict(dataset=dict(transform=_plain)))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    clip_grad=dict(max_norm=5.0),
    optimizer=dict(type='AdamW', lr=4e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0),
        custom_keys=dict(mask_token=dict(decay_mult=0), relative_position_bias_table=dict(decay_mult=0)),
    ),
)
param_scheduler = dict(type='StepLR', milestones=[7 / 8], by_epoch=False, warmup_epochs=10, start_factor=0.005, delay=1)
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
