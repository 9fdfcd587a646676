"""iBOT, ViT-L/16, 250 epochs.

    tools/dist_train.sh configs/ibot/ibot_vit-large_64xb16-250e_in1k.py 64

Cost: 312,750 steps of 1024 images in 2 + 10 views, on 64 GPUs. Not measured here.
Expected: no published figure of exactly this run; the released ViT-L has 78.0 % kNN, 81.0 % linear.
"""

_base_ = 'ibot_vit-small_16xb64-800e_in1k.py'

max_epochs = 250
_warmup = dict(warmup=30 / max_epochs)
model = dict(
    backbone=dict(arch='large'),
    neck=dict(in_channels=1024, freeze_gain=True),
    targets=_warmup,
    patch_targets=_warmup,
)
_views = _base_.train_dataloader.dataset.views
_local = dict(_views[2], min_scale=0.05, max_scale=0.32)
train_dataloader = dict(
    batch_size=16,
    dataset=dict(views=[dict(_views[0], min_scale=0.32), dict(_views[1], min_scale=0.32), *[_local] * 10]),
)
