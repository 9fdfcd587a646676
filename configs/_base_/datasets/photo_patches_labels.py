"""The patches of photo_patches.py with their labels, the photographs: accuracy on 1,080 patches after training."""

_loader = dict(num_workers=0, collate_fn=dict(type='collate_views'))

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
    dataset=dict(type='PhotoPatches', split='test', transform=dict(type='CenterCropView', size=32)),
)
val_cfg = dict(type='AccuracyValLoop')
val_evaluator = dict(type='AccuracyEvaluator')
train_cfg = dict(val_interval=4)
