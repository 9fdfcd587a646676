"""DetCo, ResNet-18 with the small stem, 200 epochs of CIFAR-10.

    python tools/train.py configs/detco/detco_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, each with nine patches of 8 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per group, and the shuffling of keys, are part of the method

model = dict(
    type='DetCo',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', out_indices=(0, 1, 2, 3)),
    neck=dict(type='GlobalLocalProjector', stage_channels=(64, 128, 256, 512), out_channels=128),
    head=dict(type='QueueContrastLoss', temperature=0.1),
    teacher=dict(momentum=0.99, schedule='constant'),
    queue=dict(length=4096, dim=128),
    stage_weights=(0.1, 0.4, 0.7, 1.0),
    norm_group_size=64,  # as with eight processes
)

_colors = dict(jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
_view = dict(type='AugmentedView', size=32, min_scale=0.2, **_colors)
_tiles = dict(type='ShuffledTileView', size=24, crop=33, min_scale=0.6, flip=0.5, photometric=_colors)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view, _view, _tiles, _tiles]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
