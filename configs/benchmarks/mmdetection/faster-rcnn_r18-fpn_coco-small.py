"""Faster R-CNN with a ResNet-18 of half the width and a narrow FPN, persons on photographs: minutes on a CPU.

    python tools/train.py configs/benchmarks/mmdetection/faster-rcnn_r18-fpn_coco-small.py --pretrained CHECKPOINT

Source: ``faster-rcnn_r18-fpn_bccd.py``, on photographs. The only class is ``person``, in 97 of the 208 training images:
so few images teach nothing about 80 classes.
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
        bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=1),
    ),
    # A quarter of mmdet's regions, because they take a third of a step on a CPU.
    train_cfg=dict(rpn_proposal=dict(nms_pre=500, max_per_img=250), rcnn=dict(sampler=dict(num=128))),
)
sync_bn = 'torch'

_smaller = dict(scale=(384, 256))
_train_pipeline = _base_.train_dataloader.dataset.pipeline
_train_pipeline[2].update(_smaller)
_test_pipeline = _base_.val_dataloader.dataset.pipeline
_test_pipeline[1].update(_smaller)
_person = dict(classes=('person',), palette=[(220, 20, 60)])

max_epochs = 8
train_dataloader = dict(batch_size=4, dataset=dict(metainfo=_person, pipeline=_train_pipeline))
val_dataloader = dict(dataset=dict(metainfo=_person, pipeline=_test_pipeline))
test_dataloader = dict(dataset=dict(metainfo=_person, pipeline=_test_pipeline))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=8, val_interval=8)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = dict(type='mmssl.WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(logger=dict(interval=8), checkpoint=dict(interval=1, max_keep_ckpts=1))
