"""ImageNet-1k in data/imagenet/ with its labels: trained on train/, accuracy on val/."""

_loader = dict(num_workers=8, persistent_workers=True, pin_memory=True, collate_fn=dict(type='collate_views'))

train_dataloader = dict(
    **_loader,
    drop_last=True,
    sampler=dict(type='EpochSampler'),
    dataset=dict(type='ImageNet1k', data_root='data/imagenet', split='train'),
)
val_dataloader = dict(
    **_loader,
    batch_size=256,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(
        type='ImageNet1k',
        data_root='data/imagenet',
        split='val',
        transform=dict(type='CenterCropView', resize=256, size=224),
    ),
)
val_cfg = dict(type='AccuracyValLoop')
val_evaluator = dict(type='AccuracyEvaluator')
train_cfg = dict(val_interval=5)
