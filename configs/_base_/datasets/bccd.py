"""Blood cells (BCCD): 364 micrographs with boxes of 3 classes, in Pascal VOC's layout in data/bccd/."""

_scale = (640, 480)
_train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=_scale, keep_ratio=True),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackDetInputs'),
]
_test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=_scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
_dataset = dict(
    type='VOCDataset',
    data_root='data/bccd',
    data_prefix=dict(sub_data_root=''),
    metainfo=dict(classes=('WBC', 'RBC', 'Platelets'), palette=[(106, 0, 228), (220, 20, 60), (255, 179, 0)]),
)

train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        **_dataset,
        ann_file='ImageSets/Main/train.txt',
        filter_cfg=dict(filter_empty_gt=True, bbox_min_size=1),  # one box is a point, and its target would be NaN
        pipeline=_train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**_dataset, ann_file='ImageSets/Main/val.txt', test_mode=True, pipeline=_test_pipeline),
)
val_cfg = dict(type='ValLoop')
# Pascal VOC's 11-point rule at ten overlaps: AP is `pascal_voc/mAP`, beside AP50 to AP95.
val_evaluator = dict(
    type='VOCMetric',
    metric='mAP',
    iou_thrs=[0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95],
    eval_mode='11points',
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**_dataset, ann_file='ImageSets/Main/test.txt', test_mode=True, pipeline=_test_pipeline),
)
test_cfg = dict(type='TestLoop')
test_evaluator = val_evaluator
