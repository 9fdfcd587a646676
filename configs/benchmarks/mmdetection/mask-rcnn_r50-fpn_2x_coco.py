"""Mask R-CNN with a ResNet-50 and FPN on COCO, 2x: 24 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_r50-fpn_2x_coco.py 8 --pretrained CHECKPOINT

Source: MoCo's detectors (He et al., 2020, arXiv:1911.05722): every layer trains, norms are synchronised over the
processes in backbone and FPN, short side 640 to 800 pixels, batch 16 at learning rate 0.02; mmdet's 2x schedule (lr
divided by 10 at epochs 16 and 22).
Published: box AP 39.2, mask AP 35.4 for supervised weights with frozen norms at a short side of 800 (mmdet's model
index, which is installed with it).
"""

_base_ = 'mask-rcnn_r50-fpn_1x_coco.py'

train_cfg = dict(max_epochs=24)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=24, milestones=[16, 22])
