"""Mask R-CNN on iTPN-L (CLIP) with its pre-trained pyramid, COCO, 12 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_itpn-large-clip_1x_coco.py 32 --pretrained CHECKPOINT

The pyramid is the neck: backbone and neck are loaded whole, and coarser levels have no parameters.
Source: iTPN's detection code, the 1x file of CLIP iTPN-L: 32 GPUs with 2 images, multi-scale crops of DETR; `--amp
fp16` is its precision.
Layer decay counts residual blocks, so that the last has 0.95 times the lr; the official code counts merges as well, but
not in the total, and gives it 1.05 times the lr. `fpn_depth` is that of the checkpoint (1 for CLIP).
Published: 55.2 box AP, 48.2 mask AP (iTPN's table). Its bias by axis is new; the checkpoint's table of relative
positions is left out.
"""

_base_ = 'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmssl.HiViT',
        arch='itpn-large',
        output='maps',
        resample='dino',
        position_bias='axis',
        layer_scale=0.1,
        drop_path_rate=0.2,
        eps=1e-5,
    ),
    neck=dict(_delete_=True, type='mmssl.ITPNPyramid', in_channels=(192, 384, 768), fpn_depth=1, num_outs=5, eps=1e-5),
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

max_epochs = 12
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='mmssl.GroupedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.95, vectors=dict(decay_mult=0.0)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=max_epochs, milestones=[9, 11], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=64)
