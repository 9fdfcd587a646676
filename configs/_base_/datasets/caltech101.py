"""Photographs of 224 pixels in class folders in data/caltech101/: every tenth is evaluated, the others train."""

_loader = dict(num_workers=2, persistent_workers=True, collate_fn=dict(type='collate_views'), batch_size=128)
_data = dict(type='ClassFolder', data_root='data/caltech101')
_plain = dict(type='CenterCropView', resize=256, size=224)

train_dataloader = dict(
    **_loader,
    drop_last=True,
    sampler=dict(type='EpochSampler'),
    dataset=dict(**_data, split='train'),
)
val_dataloader = dict(
    **_loader,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(**_data, split='val', transform=_plain),
)
val_cfg = dict(
    type='EmbeddingValLoop',
    bank_dataloader=dict(
        **_loader,
        sampler=dict(type='EpochSampler', shuffle=False),
        dataset=dict(**_data, split='train', transform=_plain),
    ),
)
val_evaluator = dict(
    type='EmbeddingEvaluator',
    metrics=[dict(type='WeightedKNN', k=20, temperature=0.07), dict(type='LinearProbe')],
)
train_cfg = dict(val_interval=20)
