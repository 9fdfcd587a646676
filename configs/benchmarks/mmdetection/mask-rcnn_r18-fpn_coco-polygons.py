"""Mask R-CNN with a ResNet-18 of half the width and a narrow FPN, for polygons of your own in COCO's layout.

    python tools/train.py configs/benchmarks/mmdetection/mask-rcnn_r18-fpn_coco-polygons.py --pretrained CHECKPOINT

Options: ``data_root=/data/mine "classes=('raccoon',)"``.
Source: mmdet's Mask R-CNN with FPN, narrowed; every norm trains.
Published: none, the data are your own; box AP is `coco/bbox_mAP`, mask AP `coco/segm_mAP`.
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/default_runtime.py',
    '../../_base_/datasets/coco_instance.py',
]
model = dict(
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=18, width=0.5, out_indices=(0, 1, 2, 3)),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, norm_cfg=dict(type='BN')),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(in_channels=64, fc_out_channels=256),
        mask_roi_extractor=dict(out_channels=64),
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64),
    ),
    # Early in training no score reaches mmdet's threshold, and without boxes there is no AP: keep all boxes.
    test_cfg=dict(rcnn=dict(score_thr=0.0)),
)
sync_bn = 'torch'

_scale = (480, 320)
_train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=_scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
_test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=_scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
_root = 'data/coco_polygons'
train_dataloader = dict(batch_size=4, num_workers=2, dataset=dict(data_root=_root, pipeline=_train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(data_root=_root, pipeline=_test_pipeline))
val_evaluator = dict(ann_file=f'{_root}/annotations/instances_val2017.json')
val_cfg = dict(type='ValLoop')
test_dataloader, test_evaluator, test_cfg = val_dataloader, val_evaluator, dict(type='TestLoop')

max_epochs = 12
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.01))
param_scheduler = dict(type='mmssl.WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=1, max_keep_ckpts=1))
