"""Faster R-CNN with a small ViT with windows and the pyramid of its last map, on blood cells (BCCD).

    python tools/train.py configs/benchmarks/mmdetection/faster-rcnn_vit-tiny_bccd.py --pretrained CHECKPOINT

Source: ViTDet's backbone and pyramid in mmdet's Faster R-CNN; AdamW with a layer decay of 0.8: the head has the full
lr, and each layer below it 0.8 times that of the next.
Published: none for a protocol; AP is the mean over ten overlaps by Pascal VOC's 11-point rule, as MoCo reports it.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    'mmdet::_base_/default_runtime.py',
    '../../_base_/datasets/bccd.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmssl.WindowedViT',
        arch='tiny',
        output='maps',
        window_size=14,
        global_indices=(2, 5, 8, 11),
        relative_size=40,
        final_norm=False,
        drop_path_rate=0.1,
    ),
    neck=dict(_delete_=True, type='mmssl.SimpleFeaturePyramid', in_channels=192),
    roi_head=dict(bbox_head=dict(num_classes=3)),
    # Early in training no score reaches mmdet's threshold, and without boxes there is no AP: keep all boxes.
    test_cfg=dict(rcnn=dict(score_thr=0.0)),
)

max_epochs = 12
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
optim_wrapper = dict(
    constructor='mmssl.GroupedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.8, vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='mmssl.WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=2)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(max_keep_ckpts=1))
