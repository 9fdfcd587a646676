r"""UPerNet on HiViT-B, ADE20K, 80k steps of 32 crops of 640 pixels.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_hivit-base_80k_ade20k-640x640.py 8 \
        --pretrained CHECKPOINT

Source: HiViT's segmentation code: 8 GPUs with 4 crops, relative positions, maps of the three stages and the last one
pooled. The official run starts from a backbone that was fine-tuned on ImageNet after MAE. Deviations: layer decay
counts the residual blocks of all stages. The official code counts the 20 blocks of the last stage, and the first two
stages have the lr of the embedding. The table of absolute positions is resized once, when it is loaded, and trained at
the size of a crop; the official code trains the table of 14 x 14 and resizes it in each forward pass, as DINO does.
Published: 52.8 mIoU (HiViT's README; its test averages scales and flips, this one does not).
"""

_base_ = [
    'mmseg::_base_/models/upernet_mae.py',
    'mmseg::_base_/datasets/ade20k_640x640.py',
    'mmseg::_base_/default_runtime.py',
    '../../_base_/segmentation_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(
        _delete_=True,
        type='mmssl.HiViT',
        arch='base',
        img_size=640,
        output='maps',
        out_indices=(0, 1, 2, 3),
        position=dict(bias='table'),
        drop_path_rate=0.1,
    ),
    neck=None,
    decode_head=dict(in_channels=[128, 256, 512, 512], channels=1024, num_classes=150),
    auxiliary_head=dict(in_channels=512, num_classes=150),
    test_cfg=dict(mode='slide', crop_size=(640, 640), stride=(426, 426)),
)
train_dataloader = dict(batch_size=4)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=8000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmssl.GroupedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.75, vectors=dict(decay_mult=0.0)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=750),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=750, end=80000),
]
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(checkpoint=dict(interval=8000))
