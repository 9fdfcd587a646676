"""Mask R-CNN with a ResNet-50 and FPN on COCO, 1x: 12 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_r50-fpn_1x_coco.py 8 --pretrained CHECKPOINT

Source: MoCo's detectors (He et al., 2020, arXiv:1911.05722): every layer trains, norms are synchronised over the
processes in backbone and FPN, short side 640 to 800 pixels, batch 16 at learning rate 0.02; mmdet's 1x schedule (lr
divided by 10 at epochs 8 and 11).
Published: box AP 38.2, mask AP 34.7 for supervised weights with frozen norms at a short side of 800 (mmdet's model
index, which is installed with it).
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
    '../../_base_/datasets/coco_instance.py',
]
model = dict(
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=50, out_indices=(0, 1, 2, 3)),
    neck=dict(norm_cfg=dict(type='BN')),
)
sync_bn = 'torch'
optim_wrapper = dict(paramwise_cfg=dict(norm_decay_mult=0.0))  # as detectron2: norms alone do not decay
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))
