"""Colourisation, the network of the paper, 16 epochs, about the official 500,000 iterations.

    python tools/train.py configs/colorization/colorization_eccv16_1xb40-16e_in1k.py

Cost: 512,464 steps of 40 images of 176 px, on one GPU. Not measured here.
Expected: no published linear figure of this network; the paper probes an AlexNet.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 16

model = dict(
    type='Colorization',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ColorizationNet'),
    neck=dict(type='ColorUpsampler', in_channels=512),
    head=dict(type='RebalancedColorLoss'),
    target=dict(type='ColorTarget', stride=4),
)

# A square of 176 of 256 pixels per side; any change of colour would change the target.
_view = dict(type='AugmentedView', size=176, min_scale=0.4727, max_scale=0.4727, ratio=(1, 1))
train_dataloader = dict(batch_size=40, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='Adam', lr=3e-5, betas=(0.9, 0.99), weight_decay=1e-3))
param_scheduler = dict(type='StepLR', by_epoch=False, milestones=[225000 / 512464, 450000 / 512464])
auto_scale_lr = dict(base_batch_size=40, rule='linear')
