"""MoCo v2 on photographs in class folders: the ResNet-18 of half the width of ``simclr_caltech101.py``, larger views.

    python tools/train.py configs/demo/mocov2_caltech101.py --cfg-options data_root=/data/caltech101

Its checkpoint, DenseCL's and ReSim's, made with the same images, views, batch and number of steps, are what
``tools/benchmarks/run_suite.py CHECKPOINT --suite detection`` compares; docs/howto/transfer.md has the figures.
"""

_base_ = 'simclr_caltech101.py'

max_epochs = 16

model = dict(
    type='MoCo',
    neck=dict(norm=False, bias=True, last_bias=True),
    head=dict(_delete_=True, type='QueueContrastLoss', temperature=0.2),
    teacher=dict(momentum=0.98, schedule='constant'),
    queue=dict(length=2048, dim=128),
    norm_group_size=64,
)

# Views of 96 pixels have a last map of 3 x 3 positions, so that dense methods have something to compare.
_colors = dict(jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
_view = dict(type='AugmentedView', size=96, min_scale=0.2, **_colors)
_plain = dict(type='CenterCropView', resize=110, size=96)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view, _view]))
val_dataloader = dict(dataset=dict(transform=_plain))
val_cfg = dict(bank_dataloader=dict(dataset=dict(transform=_plain)))
train_cfg = dict(val_interval=8)

optim_wrapper = dict(optimizer=dict(lr=0.06))
