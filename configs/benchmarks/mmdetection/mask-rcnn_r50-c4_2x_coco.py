"""Mask R-CNN with a ResNet-50-C4 on COCO, 2x: 24 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_r50-c4_2x_coco.py 8 --pretrained CHECKPOINT

Source: MoCo's detectors (He et al., 2020, arXiv:1911.05722): the last stage, with one more norm after it, is the head
of the regions; every layer trains, norms are synchronised over the processes, the 3x3 convolutions stride, short side
640 to 800 pixels, batch 16 at learning rate 0.02; mmdet's 2x schedule (a tenth at epochs 16 and 22) for detectron2's
180,000 iterations.
Different from detectron2: warm-up of 500 iterations, not 1000, and the statistics of the norms are running averages,
not computed anew before the test.
Published: no number that was checked against its source.
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py',
    'mmdet::_base_/schedules/schedule_2x.py',
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
optim_wrapper = dict(paramwise_cfg=dict(norm_decay_mult=0.0))  # as detectron2 does, which decays other biases
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))
