"""Faster R-CNN with a ResNet-18 of half the width and a narrow FPN on blood cells (BCCD): minutes on a CPU.

    python tools/train.py configs/benchmarks/mmdetection/faster-rcnn_r18-fpn_bccd.py --pretrained CHECKPOINT

Source: mmdet's Faster R-CNN with FPN, narrowed, at half the images' size; every norm trains. A full-width ResNet-18
needs ``model.backbone.width=1.0`` and ``model.neck.in_channels=[64,128,256,512]``.
Published: none for this protocol. Use it to compare checkpoints at equal budget, over several seeds. The budget is 52
steps, because pre-training helps most early: after 3 epochs random initialisation has nearly caught up.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    'mmdet::_base_/default_runtime.py',
    '../../_base_/datasets/bccd.py',
]
model = dict(
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=18, width=0.5, out_indices=(0, 1, 2, 3)),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, norm_cfg=dict(type='BN')),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=3),
    ),
)
sync_bn = 'torch'

_scale = (320, 240)
_train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=_scale, keep_ratio=True),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackDetInputs'),
]
_test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=_scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]

max_epochs = 1
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=_train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_test_pipeline))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = dict(type='mmssl.WarmupCosineLR', warmup_epochs=0.25)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=1, max_keep_ckpts=1))
