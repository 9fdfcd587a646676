"""CAST, ResNet-18 with the small stem, 200 epochs of CIFAR-10 with estimated saliency.

    python tools/train.py configs/cast/cast_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per group, and the shuffling of keys, are part of the method

_linear = dict(type='MLPProjector', in_channels=512, hidden_channels=None, out_channels=128, num_layers=1)
model = dict(
    type='CAST',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(**_linear, last_bias=True),
    head=dict(type='QueueContrastLoss', temperature=0.1),
    teacher=dict(momentum=0.99, schedule='constant'),
    queue=dict(length=4096, dim=128),
    attention_weight=0.75,
    norm_group_size=64,  # as with eight processes
)

_colors = dict(jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
_view = dict(type='SalientView', size=32, min_scale=0.2, **_colors)
_images = dict(type='CIFAR10', data_root='data/cifar10', split='train')
train_dataloader = dict(
    batch_size=512, dataset=dict(_delete_=True, type='SalientImages', dataset=_images, views=[_view, _view])
)

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4), clip_grad=dict(max_norm=2.0))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
