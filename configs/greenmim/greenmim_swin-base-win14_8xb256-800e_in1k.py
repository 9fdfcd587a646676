"""GreenMIM, Swin-B with windows of 14, 800 epochs.

    tools/dist_train.sh configs/greenmim/greenmim_swin-base-win14_8xb256-800e_in1k.py 8

Cost: 500,000 steps of 2048 images, of which a quarter is encoded. Not measured here.
Expected: no published figure.
"""

_base_ = 'greenmim_swin-base_8xb256-800e_in1k.py'

model = dict(backbone=dict(window_size=14))
optim_wrapper = dict(optimizer=dict(lr=1.2e-3))
