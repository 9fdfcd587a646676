"""32-px patches of 18 photographs that installed packages carry; training and test patches share no pixel."""

_loader = dict(num_workers=0, collate_fn=dict(type='collate_views'))
_plain = dict(type='CenterCropView', size=32)

train_dataloader = dict(
    **_loader,
    drop_last=True,
    sampler=dict(type='EpochSampler'),
    dataset=dict(type='PhotoPatches', split='train'),
)
val_dataloader = dict(
    **_loader,
    batch_size=360,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(type='PhotoPatches', split='test', transform=_plain),
)
val_cfg = dict(
    type='EmbeddingValLoop',
    bank_dataloader=dict(
        **_loader,
        batch_size=360,
        sampler=dict(type='EpochSampler', shuffle=False),
        dataset=dict(type='PhotoPatches', split='train', transform=_plain),
    ),
)
val_evaluator = dict(
    type='EmbeddingEvaluator',
    metrics=[
        dict(type='WeightedKNN', k=20, temperature=0.07),
        dict(type='LinearProbe'),
        dict(type='LinearProbe', labels_per_class=10),
        dict(type='EmbeddingStatistics'),
    ],
)
train_cfg = dict(val_interval=4)

test_dataloader = val_dataloader
test_cfg = dict(val_cfg, type='EmbeddingTestLoop')
test_evaluator = val_evaluator
