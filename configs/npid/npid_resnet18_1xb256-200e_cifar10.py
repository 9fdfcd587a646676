"""NPID, ResNet-18, 200 epochs of CIFAR-10, with 4,096 negatives as the paper has.

    python tools/train.py configs/npid/npid_resnet18_1xb256-200e_cifar10.py

Cost: 39,000 steps of 256 images of 32 px, on one GPU. Not measured here.
Expected: no published figure for this loss.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

_linear = dict(type='MLPProjector', in_channels=512, hidden_channels=None, out_channels=128, num_layers=1)
model = dict(
    type='NPID',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(_linear, last_bias=True),
    head=dict(type='MemoryContrastLoss', temperature=0.1),
    bank=dict(length=50000, dim=128, momentum=0.5),
    num_negatives=4096,
)

_view = dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.4), jitter_prob=1.0, grayscale=0.2)
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
