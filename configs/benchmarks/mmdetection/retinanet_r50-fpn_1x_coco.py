"""RetinaNet with a ResNet-50 and FPN on COCO, 1x: 12 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/retinanet_r50-fpn_1x_coco.py 8 --pretrained CHECKPOINT

Source: mmdet's RetinaNet R50-FPN 1x, batch 16 at learning rate 0.01; every layer of the backbone trains and norms are
synchronised in backbone and FPN, as in MoCo's detectors (He et al., 2020, arXiv:1911.05722).
Published: box AP 36.5 for supervised weights with frozen norms (mmdet's model index, which is installed with it).
"""

_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=50, out_indices=(0, 1, 2, 3)),
    neck=dict(norm_cfg=dict(type='BN')),
)
sync_bn = 'torch'
optim_wrapper = dict(optimizer=dict(lr=0.01))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))
