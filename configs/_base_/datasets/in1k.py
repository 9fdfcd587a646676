"""ImageNet-1k in data/imagenet/: pre-training on train/ without labels, evaluation on val/ with a tenth of train/."""

_loader = dict(num_workers=8, persistent_workers=True, pin_memory=True, collate_fn=dict(type='collate_views'))
_plain = dict(type='CenterCropView', resize=256, size=224)

train_dataloader = dict(
    **_loader,
    drop_last=True,
    sampler=dict(type='EpochSampler'),
    dataset=dict(type='ImageFolder', data_root='data/imagenet/train'),
)
val_dataloader = dict(
    **_loader,
    batch_size=256,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(type='ImageNet1k', data_root='data/imagenet', split='val', transform=_plain),
)
val_cfg = dict(
    type='EmbeddingValLoop',
    bank_dataloader=dict(
        **_loader,
        batch_size=256,
        sampler=dict(type='EpochSampler', shuffle=False),
        dataset=dict(type='ClassFolder', data_root='data/imagenet/train', split='val', transform=_plain),
    ),
)
val_evaluator = dict(
    type='EmbeddingEvaluator',
    metrics=[
        dict(type='WeightedKNN', k=20, temperature=0.07),
        dict(type='LinearProbe'),
        dict(type='EmbeddingStatistics'),
    ],
)
train_cfg = dict(val_interval=10)
