"""Jigsaw, ResNet-50, the 100 published permutations, 105 epochs: the configuration of VISSL.

    tools/dist_train.sh configs/jigsaw/jigsaw_resnet50_8xb32-105e_in1k.py 8

Cost: 525,420 steps of 256 images in nine tiles of 64 px each, on 8 GPUs. Not measured here.
Expected: 48.57 % linear top-1 (released by VISSL for this number of permutations).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 105
sync_bn = False  # as in VISSL

model = dict(
    type='Jigsaw',
    num_permutations=100,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='TileNeck', in_channels=2048, num_tiles=9, single=[dict(channels=1000, norm='affine')]),
    head=dict(type='LinearClsHead', in_channels=9000, num_classes=100, init_std=None),
)

_tiles = dict(
    type='TileView', size=192, crop=255, resize=256, flip=0.5, max_offset=20, photometric=dict(grayscale=0.66)
)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_tiles]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
    # Norms are not decayed, but the biases of the linear layers are.
    paramwise_cfg=dict(vectors=dict(decay_mult=0.0), custom_keys={'fc.bias': dict(decay_mult=1.0)}),
)
_milestones = [epoch / 105 for epoch in (30, 60, 90, 100)]
param_scheduler = dict(type='StepLR', milestones=_milestones, warmup_epochs=5, start_factor=0.25)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
