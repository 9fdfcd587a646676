"""SimCLR on photographs in class folders: a ResNet-18 of half the width, trained in about half an hour on a CPU core.

    python tools/train.py configs/demo/simclr_caltech101.py --cfg-options data_root=/data/caltech101

Its checkpoint is what ``tools/benchmarks/run_suite.py CHECKPOINT --suite small`` compares with random initialisation;
docs/howto/transfer.md has the figures.
"""

_base_ = ['../_base_/default_runtime.py']

max_epochs = 36

model = dict(
    type='SimCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5),
    neck=dict(type='MLPProjector', in_channels=256, hidden_channels=512, out_channels=128),
    head=dict(type='NTXentLoss', temperature=0.2, reduction='mean'),
)

_loader = dict(num_workers=0, collate_fn=dict(type='collate_views'), batch_size=256)
_data = dict(type='ClassFolder', data_root='data/caltech101')
_plain = dict(type='CenterCropView', resize=74, size=64)
_view = dict(type='AugmentedView', size=64, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(
    **_loader,
    drop_last=True,
    sampler=dict(type='EpochSampler'),
    dataset=dict(**_data, split='train', views=[_view, _view]),
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
train_cfg = dict(val_interval=10)
default_hooks = dict(checkpoint=dict(interval=5, max_keep_ckpts=1), logger=dict(interval=5))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=2)
