"""MoCo v2 on photographs in class folders: a ResNet-18 of half the width, views of 96 pixels.

    python tools/train.py configs/demo/mocov2_caltech101.py --cfg-options data_root=/data/caltech101

Its checkpoint, DenseCL's and ReSim's, made with the same images, views, batch and number of steps, are what
``tools/benchmarks/run_suite.py CHECKPOINT --suite detection`` compares with each other.
Result: 33.1 % by kNN and 40.9 % by a linear probe on the evaluated tenth (seed 0); docs/howto/transfer.md has the
detectors.
"""

_base_ = ['../_base_/datasets/caltech101.py', '../_base_/default_runtime.py']

max_epochs = 16

model = dict(
    type='MoCo',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5),
    neck=dict(
        type='MLPProjector',
        in_channels=256,
        hidden_channels=512,
        out_channels=128,
        norm=False,
        bias=True,
        last_bias=True,
    ),
    head=dict(type='QueueContrastLoss', temperature=0.2),
    teacher=dict(momentum=0.98, schedule='constant'),
    queue=dict(length=2048, dim=128),
    norm_group_size=64,
)

# Views of 96 pixels have a last map of 3 x 3 positions, so that dense methods have something to compare.
_view = dict(type='AugmentedView', size=96, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
_plain = dict(type='CenterCropView', resize=110, size=96)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view, _view]))
val_dataloader = dict(dataset=dict(transform=_plain))
val_cfg = dict(bank_dataloader=dict(dataset=dict(transform=_plain)))
train_cfg = dict(val_interval=8)

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=2)
