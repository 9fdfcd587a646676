"""Mask R-CNN with a ResNet-50-C4 on COCO, 2x: 24 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_r50-c4_2x_coco.py 8 --pretrained CHECKPOINT

Source: MoCo's detectors (He et al., 2020, arXiv:1911.05722): the last stage, with one more norm after it, is the head
of the regions; every layer trains, norms are synchronised over the processes, the stride is in the 3x3 convolutions,
short side 640 to 800 pixels, batch 16 at learning rate 0.02; mmdet's 2x schedule (lr divided by 10 at epochs 16 and 22)
for detectron2's 180,000 iterations.
Different from detectron2: warm-up of 500 iterations, not 1000, and the statistics of the norms are running averages;
detectron2 computes them again before the test.
Published: no number that was checked against its source.
"""

_base_ = 'mask-rcnn_r50-c4_1x_coco.py'

train_cfg = dict(max_epochs=24)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=24, milestones=[16, 22])
