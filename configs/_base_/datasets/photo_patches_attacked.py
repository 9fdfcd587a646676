"""32-px patches of 18 photographs with their labels; accuracy of a classifier on test patches and under attack."""

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
val_cfg = dict(type='RobustnessValLoop')
val_evaluator = dict(
    type='RobustnessEvaluator',
    attacks=dict(
        fgsm=dict(type='FGSMAttack', epsilon=8.0),
        pgd10_half=dict(type='PGDAttack', epsilon=4.0, step_size=1.0, num_steps=10),
        pgd10=dict(type='PGDAttack', epsilon=8.0, step_size=2.0, num_steps=10),
        pgd50=dict(type='PGDAttack', epsilon=8.0, step_size=2.0, num_steps=50),
    ),
)
train_cfg = dict(val_interval=12)
