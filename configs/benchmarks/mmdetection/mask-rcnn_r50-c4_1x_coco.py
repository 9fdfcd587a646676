"""Mask R-CNN with a ResNet-50-C4 on COCO, 1x: 12 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_r50-c4_1x_coco.py 8 --pretrained CHECKPOINT

Source: MoCo's detectors (He et al., 2020, arXiv:1911.05722): the last stage, with one more norm after it, is the head
of the regions; every layer trains, norms are synchronised over the processes, the stride is in the 3x3 convolutions,
short side 640 to 800 pixels, batch 16 at learning rate 0.02; mmdet's 1x schedule (lr divided by 10 at epochs 8 and 11)
for detectron2's 90,000 iterations.
Different from detectron2: warm-up of 500 iterations, not 1000, and the statistics of the norms are running averages;
detectron2 computes them again before the test.
Published: no number that was checked against its source.
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
    '../../_base_/datasets/coco_instance.py',
]
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=50, out_indices=(2,)),
    roi_head=dict(shared_head=dict(_delete_=True, type='mmssl.LastStageHead', depth=50, extra_norm=True)),
    train_cfg=dict(rpn=dict(allowed_border=-1)),
)
sync_bn = 'torch'
optim_wrapper = dict(paramwise_cfg=dict(norm_decay_mult=0.0))  # as detectron2: norms alone do not decay
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))
