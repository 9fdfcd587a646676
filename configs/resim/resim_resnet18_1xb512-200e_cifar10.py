"""ReSim with a pyramid, ResNet-18 with the small stem, 200 epochs of CIFAR-10.

    python tools/train.py configs/resim/resim_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per group, and the shuffling of keys, are part of the method

_projector = dict(type='MLPProjector', in_channels=512, hidden_channels=512, out_channels=128)
model = dict(
    type='ReSim',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', out_indices=(1, 2, 3)),
    neck=dict(
        type='PyramidProjector',
        projector=dict(**_projector, norm=False, bias=True, last_bias=True),
        pyramid=dict(type='TopDownNeck', in_channels=(128, 256, 512), out_channels=128),
    ),
    head=dict(type='QueueContrastLoss', temperature=0.1),
    teacher=dict(momentum=0.99, schedule='constant'),
    queue=dict(length=4096, dim=128),
    windows=[dict(side=8, stride=6), dict(side=12, stride=8)],  # 4 x 4 and 3 x 3 windows
    region_loss=dict(type='RegionContrastLoss', temperature=0.2),
    norm_group_size=64,  # as with eight processes
)

_view = dict(type='AlignedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
