"""Barlow Twins, ResNet-50, 1000 epochs: the released model (base lr 0.2, that of biases and norms 0.0048).

    tools/dist_train.sh configs/barlowtwins/barlowtwins_resnet50_16xb128-1000e_in1k.py 16

The official code trains with 1/16 of the gradient on its 16 processes. With LARS that changes weight decay, biases and
norms alone. This recipe uses the exact gradient, on any number of processes, and makes the same steps with 16 times the
official weight decay and 1/16 of the official learning rate of biases and norms. The card has the official numbers.

Cost: 625,000 steps of 2048 image pairs; the official run used 16 V100 for about 7 days. Not measured here.
Expected: 73.5 % linear top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 1000
sync_bn = True

model = dict(
    type='BarlowTwins',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50, zero_init_residual=True),
    neck=dict(
        type='MLPProjector',
        in_channels=2048,
        hidden_channels=8192,
        out_channels=8192,
        num_layers=3,
        last_norm='plain',  # standardises the embedding over the global batch
    ),
    head=dict(type='BarlowTwinsLoss', redundancy_weight=0.0051),
)

_view = dict(
    type='AugmentedView',
    size=224,
    min_scale=0.08,
    interpolation='bicubic',
    jitter=(0.4, 0.4, 0.2, 0.1),
    grayscale=0.2,
)
_views = [dict(_view, blur=1.0), dict(_view, blur=0.1, solarize=0.2)]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='LARS', lr=1.6, weight_decay=16e-6, lr_mode='post'),
    paramwise_cfg=dict(vectors=dict(lr_mult=0.0048 / 0.2 / 16)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, end_factor=0.001)
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
