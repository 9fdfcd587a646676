"""CIFAR-100, the archive in data/cifar100/: trained on its 50,000 images without labels, evaluated on 10,000 others."""

_loader = dict(num_workers=4, persistent_workers=True, pin_memory=True, collate_fn=dict(type='collate_views'))
_plain = dict(type='CenterCropView', size=32)

train_dataloader = dict(
    **_loader,
    drop_last=True,
    sampler=dict(type='EpochSampler'),
    dataset=dict(type='CIFAR100', data_root='data/cifar100', split='train'),
)
val_dataloader = dict(
    **_loader,
    batch_size=256,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(type='CIFAR100', data_root='data/cifar100', split='test', transform=_plain),
)
val_cfg = dict(
    type='EmbeddingValLoop',
    bank_dataloader=dict(
        **_loader,
        batch_size=256,
        sampler=dict(type='EpochSampler', shuffle=False),
        dataset=dict(type='CIFAR100', data_root='data/cifar100', split='train', transform=_plain),
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
