"""NNCLR, ResNet-18, 200 epochs of CIFAR-10.

    python tools/train.py configs/nnclr/nnclr_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

_mlp = dict(type='MLPProjector', bias=False)
model = dict(
    type='NNCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(_mlp, in_channels=512, hidden_channels=512, out_channels=128, num_layers=3, last_norm='affine'),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(_mlp, in_channels=128, hidden_channels=1024, out_channels=128, last_bias=True),
        loss=dict(type='NeighbourContrastLoss', temperature=0.1),
    ),
    queue=dict(length=16384, dim=128),
)

_view = dict(type='AugmentedView', size=32, jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view, dict(_view, solarize=0.2)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
