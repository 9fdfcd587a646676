"""UPerNet with a small ViT, on CamVid.

    python tools/train.py configs/benchmarks/mmsegmentation/upernet_vit-tiny_camvid.py --pretrained CHECKPOINT

Source: mmseg's UPerNet for MAE; AdamW with a layer decay of 0.8: the head has the full lr, and each layer below it 0.8
times that of the next.
Published: none for this protocol. Use it to compare checkpoints at equal budget, over several seeds.
"""

_base_ = [
    'mmseg::_base_/models/upernet_mae.py',
    'mmseg::_base_/default_runtime.py',
    '../../_base_/datasets/camvid.py',
    '../../_base_/segmentation_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(352, 352)),
    backbone=dict(
        _delete_=True,
        type='mmssl.VisionTransformer',
        arch='tiny',
        output='maps',
        out_indices=(3, 5, 7, 11),
        final_norm=False,
        drop_path_rate=0.1,
    ),
    neck=dict(embed_dim=192),
    decode_head=dict(in_channels=[192, 192, 192, 192], channels=192, num_classes=11),
    auxiliary_head=dict(in_channels=192, channels=96, num_classes=11),
)

max_epochs = 50
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=5)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmssl.GroupedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.8, vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='mmssl.WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=4)
log_processor = dict(by_epoch=True)
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=5, max_keep_ckpts=1),
)
