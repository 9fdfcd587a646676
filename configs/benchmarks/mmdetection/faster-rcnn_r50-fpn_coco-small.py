"""Faster R-CNN with a ResNet-50 and FPN on a few hundred photographs with COCO's classes: a pipeline to try out.

    python tools/train.py configs/benchmarks/mmdetection/faster-rcnn_r50-fpn_coco-small.py --pretrained CHECKPOINT

Source: mmdet's Faster R-CNN R50-FPN; every norm trains, as in MoCo's detectors.
Published: none, the data are no benchmark. Use it to compare checkpoints at equal budget, over several seeds.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    'mmdet::_base_/default_runtime.py',
    '../../_base_/datasets/coco_small.py',
]
model = dict(
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=50, out_indices=(0, 1, 2, 3)),
    neck=dict(norm_cfg=dict(type='BN')),
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
