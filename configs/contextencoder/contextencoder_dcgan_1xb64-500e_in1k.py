"""Context encoder with the adversarial term, the official in-painting network, 500 epochs.

    python tools/train.py configs/contextencoder/contextencoder_dcgan_1xb64-500e_in1k.py

Without the adversarial term, which did not help the features in the paper, and with the rate of the official code then:
--cfg-options model.discriminator=None optim_wrapper.paramwise_cfg=None optim_wrapper.optimizer.lr=2e-4

Cost: 10,009,000 steps of 64 images of 128 px, on one GPU. Not measured here.
Expected: no published linear figure; the paper transfers another network.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 500

model = dict(
    type='ContextEncoder',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(type='ContextEncoderNet'),
    neck=dict(type='InpaintingGenerator', in_channels=512, bottleneck=4000),
    head=dict(type='InpaintingLoss', rim=4, rim_weight=10.0),
    discriminator=dict(type='RegionDiscriminator', size=64),
    reconstruction_weight=0.999,
)

# A square of 128 of 350 pixels.
_view = dict(type='AugmentedView', size=128, min_scale=0.1337, max_scale=0.1337, ratio=(1, 1))
train_dataloader = dict(batch_size=64, dataset=dict(views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=2e-3, betas=(0.5, 0.999)),
    paramwise_cfg=dict(custom_keys={'discriminator.layers': dict(lr_mult=0.1)}),
)
param_scheduler = dict(type='StepLR', milestones=[])  # constant
auto_scale_lr = dict(base_batch_size=64, rule='linear')
