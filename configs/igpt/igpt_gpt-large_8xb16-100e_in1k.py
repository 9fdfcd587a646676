"""iGPT-L, next pixel, images of 32 px, 100 epochs.

    tools/dist_train.sh configs/igpt/igpt_gpt-large_8xb16-100e_in1k.py 8

Cost: 1,000,900 steps of 128 sequences of 1024 pixels. Not measured here.
Expected: no accuracy that was checked; 2.0466 nats per pixel after a million steps (official README).
"""

_base_ = 'igpt_gpt-small_8xb16-100e_in1k.py'

model = dict(backbone=dict(arch='igpt-large', feature_block=24), neck=dict(in_channels=1536))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
