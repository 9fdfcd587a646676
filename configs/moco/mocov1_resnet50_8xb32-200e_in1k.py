"""MoCo v1, ResNet-50, 200 epochs.

    tools/dist_train.sh configs/moco/mocov1_resnet50_8xb32-200e_in1k.py 8

Cost: 1,000,800 steps of 256 image pairs; the official README reports about 53 h on 8 V100. Not measured here.
Expected: 60.6 % linear top-1 (official README; 60.8 +- 0.2 over five runs).
"""

_base_ = 'mocov2_resnet50_8xb32-200e_in1k.py'

_linear = dict(type='MLPProjector', in_channels=2048, hidden_channels=None, out_channels=128, num_layers=1)
model = dict(neck=dict(_delete_=True, **_linear, last_bias=True), head=dict(temperature=0.07))
_colors = dict(jitter=(0.4, 0.4, 0.4, 0.4), jitter_prob=1.0, grayscale=0.2, order=('grayscale', 'jitter'))
_views = [dict(type='AugmentedView', size=224, min_scale=0.2, **_colors)] * 2
train_dataloader = dict(dataset=dict(views=_views))
param_scheduler = dict(_delete_=True, type='StepLR', milestones=[0.6, 0.8], gamma=0.1)  # epochs 120 and 160 of 200
