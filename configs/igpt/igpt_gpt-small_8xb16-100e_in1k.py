"""iGPT-S, next pixel, images of 32 px, 100 epochs.

    tools/dist_train.sh configs/igpt/igpt_gpt-small_8xb16-100e_in1k.py 8

The official code has no training: the settings are those of the paper as far as they are known, see the card.

Cost: 1,000,900 steps of 128 sequences of 1024 pixels. Not measured here.
Expected: no accuracy that was checked; 2.0895 nats per pixel after a million steps (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 100

model = dict(
    type='IGPT',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='PixelTransformer', arch='igpt-small', img_size=32, num_colors=512, feature_block=12),
    neck=dict(type='WordLogits', in_channels=512, out_channels=512),
    head=dict(type='MaskedCrossEntropyLoss', per_image=True),
)
custom_hooks = [dict(type='FitTokenizerHook', num_images=2048)]

_view = dict(type='AugmentedView', size=32, min_scale=0.34, max_scale=0.77, ratio=(1.0, 1.0), flip=0.0)
train_dataloader = dict(batch_size=16, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='Adam', lr=3e-3, betas=(0.9, 0.95)))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
