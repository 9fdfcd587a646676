"""Tiny-ImageNet, its folder train/ in data/tiny-imagenet-200/: 200 classes of 64 px, every 50th image for accuracy."""

_loader = dict(num_workers=4, persistent_workers=True, pin_memory=True, collate_fn=dict(type='collate_views'))
_images = dict(type='ClassFolder', data_root='data/tiny-imagenet-200/train', val_every=50)

train_dataloader = dict(
    **_loader, drop_last=True, sampler=dict(type='EpochSampler'), dataset=dict(**_images, split='train')
)
val_dataloader = dict(
    **_loader,
    batch_size=256,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(**_images, split='val', transform=dict(type='CenterCropView', size=64)),
)
val_cfg = dict(type='AccuracyValLoop')
val_evaluator = dict(type='AccuracyEvaluator')
train_cfg = dict(val_interval=5)
