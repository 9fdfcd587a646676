"""CIFAR-100, the archive in data/cifar100/, with its labels: trained on 50,000 images, accuracy on 10,000 others."""

_loader = dict(num_workers=4, persistent_workers=True, pin_memory=True, collate_fn=dict(type='collate_views'))

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
    dataset=dict(
        type='CIFAR100', data_root='data/cifar100', split='test', transform=dict(type='CenterCropView', size=32)
    ),
)
val_cfg = dict(type='AccuracyValLoop')
val_evaluator = dict(type='AccuracyEvaluator')
train_cfg = dict(val_interval=5)
