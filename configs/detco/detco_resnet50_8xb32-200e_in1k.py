"""DetCo, ResNet-50, 200 epochs.

    tools/dist_train.sh configs/detco/detco_resnet50_8xb32-200e_in1k.py 8

Cost: 1,000,800 steps of 256 image pairs, each with nine patches of 64 px beside the 224 px. Not measured here.
Expected: 68.6 % linear top-1 (official README, a table in a picture); VOC07+12 detection AP 57.8.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per process, and the shuffling of keys, are part of the method

model = dict(
    type='DetCo',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50, out_indices=(0, 1, 2, 3)),
    neck=dict(type='GlobalLocalProjector', stage_channels=(256, 512, 1024, 2048), out_channels=128),
    head=dict(type='QueueContrastLoss', temperature=0.2),
    teacher=dict(momentum=0.999, schedule='constant'),
    queue=dict(length=65536, dim=128),
    stage_weights=(0.1, 0.4, 0.7, 1.0),
)

_colors = dict(jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2, blur=0.5)
_view = dict(type='AugmentedView', size=224, min_scale=0.2, **_colors)
_tiles = dict(type='ShuffledTileView', size=192, crop=255, min_scale=0.6, flip=0.5, photometric=_colors)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view, _view, _tiles, _tiles]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
