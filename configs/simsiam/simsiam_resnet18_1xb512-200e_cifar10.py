"""SimSiam, ResNet-18 with the small stem and a two-layer projector, 200 epochs of CIFAR-10.

    python tools/train.py configs/simsiam/simsiam_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for this length.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='SimSiam',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', zero_init_residual=True),
    neck=dict(
        type='MLPProjector',
        in_channels=512,
        hidden_channels=2048,
        out_channels=2048,
        num_layers=2,
        last_norm='plain',
        last_bias=True,  # the batch norm cancels it in training, not in evaluation
        freeze_last_bias=True,
    ),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(type='MLPProjector', in_channels=2048, hidden_channels=512, out_channels=2048, last_bias=True),
        loss=dict(type='NegativeCosineLoss'),
    ),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'predictor': dict(fix_lr=True)}),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
