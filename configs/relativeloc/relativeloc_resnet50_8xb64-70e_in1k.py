"""Relative location, ResNet-50, 70 epochs: the configuration of OpenSelfSup.

    tools/dist_train.sh configs/relativeloc/relativeloc_resnet50_8xb64-70e_in1k.py 8

Cost: 175,140 steps of 512 images in eight pairs of 64-px patches each, on 8 GPUs. Not measured here.
Expected: 38.83 % linear top-1 on the pooled features (OpenSelfSup), 40.4 % (mmselfsup).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 70
sync_bn = False  # as in OpenSelfSup

model = dict(
    type='RelativeLocation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(
        type='TileNeck',
        in_channels=2048,
        num_tiles=2,
        joint=[dict(channels=4096, norm='affine', momentum=0.003, dropout=0.5)],
        init_std=0.005,
        init_bias=0.1,
    ),
    head=dict(type='LinearClsHead', in_channels=4096, num_classes=8, init_std=0.005),
)

_tiles = dict(type='TileView', size=192, crop=255, resize=292, photometric=dict(grayscale=0.66))
train_dataloader = dict(batch_size=64, dataset=dict(views=[_tiles]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'neck.joint': dict(decay_mult=5.0), 'head.fc': dict(decay_mult=5.0)}),
)
param_scheduler = dict(type='StepLR', by_epoch=False, milestones=[30 / 70, 50 / 70], warmup_epochs=5, start_factor=0.1)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
