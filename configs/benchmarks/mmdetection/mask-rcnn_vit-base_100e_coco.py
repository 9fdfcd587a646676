"""Mask R-CNN on a ViT-B (ViTDet: windows, four global blocks, a pyramid of the last map), COCO, 100 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_vit-base_100e_coco.py 64 --pretrained CHECKPOINT

Source: ViTDet (Li et al., 2022, arXiv:2203.16527) in detectron2: 64 images a step, lr 1e-4, layer decay 0.7, large
scale jitter to 1024 pixels; `--amp fp16` is its precision. Deviation: biases have no weight decay, where detectron2
exempts norms alone. The last block has 0.7 times the lr and the head the full lr, as in detectron2.
Published: 51.6 box AP, 45.9 mask AP with MAE's ViT-B (detectron2, projects/ViTDet).
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::common/lsj-100e_coco-instance.py',
]
_norm = dict(type='mmssl.LayerNorm2d', eps=1e-6)
model = dict(
    data_preprocessor=dict(pad_size_divisor=1024),  # every image is a square of 1024 pixels
    backbone=dict(
        _delete_=True,
        type='mmssl.WindowedViT',
        arch='base',
        output='maps',
        window_size=14,
        global_indices=(2, 5, 8, 11),
        relative_size=64,
        final_norm=False,
        drop_path_rate=0.1,
    ),
    neck=dict(_delete_=True, type='mmssl.SimpleFeaturePyramid', in_channels=768),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', conv_out_channels=256, norm_cfg=_norm),
        mask_head=dict(norm_cfg=_norm),
    ),
)
_resize = dict(type='Resize', scale=(1024, 1024), keep_ratio=True)
_meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
_test_pipeline = [
    dict(type='LoadImageFromFile'),
    _resize,
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='PackDetInputs', meta_keys=_meta_keys),
]
train_dataloader = dict(batch_size=1, sampler=dict(type='InfiniteSampler'), dataset=dict(times=1))
val_dataloader = dict(dataset=dict(pipeline=_test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=184375, val_interval=5000)
optim_wrapper = dict(
    constructor='mmssl.GroupedOptimWrapperConstructor',
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1),
    paramwise_cfg=dict(layer_decay=0.7, vectors=dict(decay_mult=0.0)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=184375, milestones=[163889, 177546], gamma=0.1),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)
