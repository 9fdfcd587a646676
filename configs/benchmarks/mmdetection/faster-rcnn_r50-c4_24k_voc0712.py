"""Faster R-CNN with a ResNet-50-C4 on Pascal VOC 07+12, 24,000 iterations: the detection benchmark of MoCo.

    tools/dist_train.sh configs/benchmarks/mmdetection/faster-rcnn_r50-c4_24k_voc0712.py 8 --pretrained CHECKPOINT

Source: MoCo's detectors (He et al., 2020, arXiv:1911.05722): the last stage, with one more norm after it, is the head
of the regions; every layer trains, norms are synchronised over the processes, the stride is in the 3x3 convolutions,
batch 16 at learning rate 0.02, warm-up of 100 iterations, lr divided by 10 at 18,000 and 22,000; short side 480 to 800,
800 in the test.
Published (official code, test2007, mean of 5 runs, AP50 / AP / AP75): supervised 81.3 / 53.5 / 58.8; MoCo v1 200 epochs
81.5 / 55.9 / 62.6; MoCo v2 200 epochs 82.4 / 57.0 / 63.6, 800 epochs 82.5 / 57.4 / 64.0.
Different from detectron2: objects marked difficult are ignored in training, and the statistics of the norms are running
averages; detectron2 computes them again before the test.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py',
    'mmdet::_base_/default_runtime.py',
    '../../_base_/datasets/voc0712.py',
]
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=50, out_indices=(2,)),
    roi_head=dict(
        shared_head=dict(_delete_=True, type='mmssl.LastStageHead', depth=50, extra_norm=True),
        bbox_head=dict(num_classes=20),
    ),
)
sync_bn = 'torch'

train_cfg = dict(type='IterBasedTrainLoop', max_iters=24000, val_interval=6000)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0),  # as detectron2: norms alone do not decay
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=24000, milestones=[18000, 22000], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=16)
log_processor = dict(by_epoch=False)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=6000, max_keep_ckpts=1))
