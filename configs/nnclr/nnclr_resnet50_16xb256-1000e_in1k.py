"""NNCLR, ResNet-50, 1000 epochs.

    tools/dist_train.sh configs/nnclr/nnclr_resnet50_16xb256-1000e_in1k.py 16

Cost: 312,000 steps of 4096 image pairs. Not measured here.
Expected: at best 75.6 % linear top-1 (the paper's abstract, not checked against its tables).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 1000
sync_bn = True

_mlp = dict(type='MLPProjector', bias=False)
model = dict(
    type='NNCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(_mlp, in_channels=2048, hidden_channels=2048, out_channels=256, num_layers=3, last_norm='affine'),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(_mlp, in_channels=256, hidden_channels=4096, out_channels=256, last_bias=True),
        loss=dict(type='NeighbourContrastLoss', temperature=0.1),
    ),
    queue=dict(length=98304, dim=256),
)

_view = dict(type='AugmentedView', size=224, jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
_views = [dict(_view, blur=1.0), dict(_view, blur=0.1, solarize=0.2)]
train_dataloader = dict(batch_size=256, dataset=dict(views=_views))

optim_wrapper = dict(optimizer=dict(type='LARS', lr=4.8, weight_decay=1e-6))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
