"""MNIST, its four files in data/mnist/, with its labels: trained on 60,000 images, accuracy on 10,000 others."""

_loader = dict(num_workers=4, persistent_workers=True, pin_memory=True, collate_fn=dict(type='collate_views'))

train_dataloader = dict(
    **_loader,
    drop_last=True,
    sampler=dict(type='EpochSampler'),
    dataset=dict(type='MNIST', data_root='data/mnist', split='train'),
)
val_dataloader = dict(
    **_loader,
    batch_size=256,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(type='MNIST', data_root='data/mnist', split='test', transform=dict(type='CenterCropView', size=28)),
)
val_cfg = dict(type='AccuracyValLoop')
val_evaluator = dict(type='AccuracyEvaluator')
train_cfg = dict(val_interval=5)
