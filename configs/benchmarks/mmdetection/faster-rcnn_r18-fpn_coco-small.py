"""Faster R-CNN with a ResNet-18 of half the width and a narrow FPN on a few hundred photographs: minutes on a CPU.

    python tools/train.py configs/benchmarks/mmdetection/faster-rcnn_r18-fpn_coco-small.py --pretrained CHECKPOINT

Source: ``faster-rcnn_r18-fpn_bccd.py``, on photographs. The one class is ``person``, because 208 images do not teach 80
classes to anything.
Published: none, the data are no benchmark. Use it to compare checkpoints at equal budget, over several seeds.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    'mmdet::_base_/default_runtime.py',
    '../../_base_/datasets/coco_small.py',
]
model = dict(
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=18, width=0.5, out_indices=(0, 1, 2, 3)),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, norm_cfg=dict(type='BN')),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(in_channels=64, fc_out_channels=256),
    ),
    test_cfg=dict(rcnn=dict(score_thr=0.0)),
)
classes = ('person',)
sync_bn = 'torch'
