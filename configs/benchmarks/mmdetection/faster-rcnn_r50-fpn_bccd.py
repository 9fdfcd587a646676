"""Faster R-CNN with a ResNet-50 and FPN on blood cells (BCCD).

    python tools/train.py configs/benchmarks/mmdetection/faster-rcnn_r50-fpn_bccd.py --pretrained CHECKPOINT

Source: mmdet's Faster R-CNN R50-FPN; every norm trains, as in MoCo's detectors.
Published: none for a protocol; AP is the mean over ten overlaps by Pascal VOC's 11-point rule, as MoCo reports it.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    'mmdet::_base_/default_runtime.py',
    '../../_base_/datasets/bccd.py',
]
model = dict(
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=50, out_indices=(0, 1, 2, 3)),
    neck=dict(norm_cfg=dict(type='BN')),
    roi_head=dict(bbox_head=dict(num_classes=3)),
    # Early in training no score reaches mmdet's threshold, and without boxes there is no AP: keep all boxes.
    test_cfg=dict(rcnn=dict(score_thr=0.0)),
)
sync_bn = 'torch'

max_epochs = 12
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.0025, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='mmssl.WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=2)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(max_keep_ckpts=1))
