"""Mask R-CNN on HiViT-B with windows and a new FPN, COCO, 36 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_hivit-base_3x_coco.py 8 --pretrained CHECKPOINT

Source: HiViT's detection code: 8 GPUs with 2 images, multi-scale crops of DETR, windows of 14 units with four global
blocks, a norm for each level. Layer decay counts the residual blocks of all stages; there it counts the 20 of the last
one, and the first two stages have the lr of the embedding.
Published: 53.3 box AP (HiViT's README; iTPN's table quotes 51.2 box AP, 44.2 mask AP for 3x).
"""

_base_ = 'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmssl.HiViT',
        arch='base',
        output='maps',
        out_indices=(0, 1, 2, 3),
        window_size=14,
        global_indices=(4, 9, 14, 19),
        drop_path_rate=0.2,
    ),
    neck=[
        dict(type='mmssl.LevelNorms', in_channels=(128, 256, 512, 512)),
        dict(type='FPN', in_channels=[128, 256, 512, 512], out_channels=256, num_outs=5),
    ],
    roi_head=dict(
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead',
            conv_out_channels=256,
            norm_cfg=dict(type='BN'),
            reg_decoded_bbox=True,
            loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
        )
    ),
)
sync_bn = 'torch'

max_epochs = 36
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='mmssl.GroupedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.9, vectors=dict(decay_mult=0.0)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=max_epochs, milestones=[27, 33], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=16)
