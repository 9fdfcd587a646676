"""ReSim on photographs in class folders, with the backbone, data and settings of ``mocov2_caltech101.py``.

    python tools/train.py configs/demo/resim_caltech101.py --cfg-options data_root=/data/caltech101

Result: 42.4 % by kNN and 48.4 % by a linear probe on the evaluated tenth (seed 0); docs/howto/transfer.md has the
detectors.
"""

_base_ = 'mocov2_caltech101.py'

_projector = dict(type='MLPProjector', in_channels=256, hidden_channels=512, out_channels=128)
model = dict(
    type='ReSim',
    backbone=dict(out_indices=(1, 2, 3)),
    neck=dict(
        _delete_=True,
        type='PyramidProjector',
        projector=dict(**_projector, norm=False, bias=True, last_bias=True),
        pyramid=dict(type='TopDownNeck', in_channels=(64, 128, 256), out_channels=64),
    ),
    windows=[dict(side=24, stride=16), dict(side=48, stride=16)],  # 5 x 5 and 3 x 3 windows, of P3 and P4
    region_loss=dict(type='RegionContrastLoss', temperature=0.2),
)

_view = dict(type='AlignedView', size=96, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(dataset=dict(views=[_view, _view]))
