"""Mask R-CNN with a ResNet-50 and the pyramid that ReSim pre-trains, on COCO, 2x: 24 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_resim-r50_2x_coco.py 8 --pretrained CHECKPOINT

The neck takes levels 3 to 5 of the pre-trained pyramid; level 2 and the output of level 5 are new, as officially.
Source: ReSim's detection files for detectron2: R50-FPN, norms synchronised over the processes in backbone and pyramid,
batch 16 at learning rate 0.02; mmdet's 2x schedule.
Deviation: every layer trains, as in the other files here. detectron2's default, which the official files keep, freezes
the stem and the first stage: ``model.backbone.frozen_stages=1``.
Published: 41.4 box AP with 200 epochs of pre-training, 41.9 with 400 (official README).
"""

_base_ = 'mask-rcnn_r50-fpn_1x_coco.py'

_levels = (2, 3, 4, 5)
_neck = dict(type='mmssl.TopDownNeck', in_channels=(256, 512, 1024, 2048), num_outs=5, norm=True)
model = dict(neck=dict(_delete_=True, **_neck, levels=_levels, out_levels=_levels))
train_cfg = dict(max_epochs=24)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=24, milestones=[16, 22])
