"""SwAV, ResNet-50 of four times the width, 400 epochs of batch 2560 with a queue, two views of 224 px and four of 96.

    tools/dist_train.sh configs/swav/swav_resnet50-4x_64xb40-400e_in1k.py 64

Cost: 200,000 steps of 2560 images in 2 + 4 views, on 64 GPUs. Not measured here.
Expected: 77.9 % linear top-1 (official README).
"""

_base_ = 'swav_resnet50_64xb64-800e_in1k.py'

max_epochs = 400
model = dict(backbone=dict(width=4), neck=dict(in_channels=8192, hidden_channels=8192), queue=dict(length=2560))
_global = dict(_base_._view, size=224, min_scale=0.08)
_local = dict(_base_._view, size=96, min_scale=0.08, max_scale=0.14)
train_dataloader = dict(batch_size=40, dataset=dict(views=[*[_global] * 2, *[_local] * 4]))
auto_scale_lr = dict(base_batch_size=2560)
