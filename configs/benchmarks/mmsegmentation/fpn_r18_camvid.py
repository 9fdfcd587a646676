"""Semantic FPN with a ResNet-18 of half the width on CamVid: minutes on a CPU.

    python tools/train.py configs/benchmarks/mmsegmentation/fpn_r18_camvid.py --pretrained CHECKPOINT

Source: mmseg's Semantic FPN, narrowed; a full-width ResNet-18 needs ``model.backbone.width=1.0`` and
``model.neck.in_channels=[64,128,256,512]``.
Published: none for this protocol. Use it to compare checkpoints at equal budget, over several seeds. The budget is 90
steps, because pre-training helps most early: after 5 epochs at twice the learning rate random initialisation has caught
up.
"""

_base_ = [
    'mmseg::_base_/models/fpn_r50.py',
    'mmseg::_base_/default_runtime.py',
    '../../_base_/datasets/camvid.py',
    '../../_base_/segmentation_epochs_runtime.py',
]
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(224, 224)),
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=18, width=0.5, out_indices=(0, 1, 2, 3)),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
    decode_head=dict(num_classes=11, in_channels=[64, 64, 64, 64], channels=32),
)
sync_bn = 'torch'

_train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='mmssl.IgnoreLabels', labels=[11]),  # void
    dict(type='RandomResize', scale=(320, 240), ratio_range=(0.95, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(224, 224), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 240), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='mmssl.IgnoreLabels', labels=[11]),
    dict(type='PackSegInputs'),
]

max_epochs = 2
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=_train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=2)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.01))
param_scheduler = dict(type='mmssl.WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=8)
log_processor = dict(by_epoch=True)
default_hooks = dict(checkpoint=dict(interval=1))
