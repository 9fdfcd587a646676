"""DenseCL on photographs in class folders, with the backbone, data and settings of ``mocov2_caltech101.py``.

    python tools/train.py configs/demo/densecl_caltech101.py --cfg-options data_root=/data/caltech101

Result: 37.6 % by kNN and 43.6 % by a linear probe on the evaluated tenth (seed 0); docs/howto/transfer.md has the
detectors.
"""

_base_ = 'mocov2_caltech101.py'

model = dict(
    type='DenseCL',
    neck=dict(_delete_=True, type='DenseProjector', in_channels=256, hidden_channels=512, out_channels=128),
)
