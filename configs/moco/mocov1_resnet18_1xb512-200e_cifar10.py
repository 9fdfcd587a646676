"""MoCo v1 (linear projector, step schedule), ResNet-18 with the small stem, 200 epochs of CIFAR-10.

    python tools/train.py configs/moco/mocov1_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = 'mocov2_resnet18_1xb512-200e_cifar10.py'

_linear = dict(type='MLPProjector', in_channels=512, hidden_channels=None, out_channels=128, num_layers=1)
model = dict(neck=dict(_delete_=True, **_linear, last_bias=True))
_view = dict(_base_._view, jitter=(0.4, 0.4, 0.4, 0.4), jitter_prob=1.0, order=('grayscale', 'jitter'))
train_dataloader = dict(dataset=dict(views=[_view, _view]))
param_scheduler = dict(_delete_=True, type='StepLR', milestones=[0.6, 0.8], gamma=0.1)
