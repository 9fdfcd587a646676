"""MoCo v3, ResNet-50, 300 epochs (base lr 0.3, m0 0.99, weight decay 1e-6).

    tools/dist_train.sh configs/mocov3/mocov3_resnet50_16xb256-300e_in1k.py 16

Cost: 93,600 steps of 4096 image pairs; the official run used 16 V100 of 32 GB. Not measured here.
Expected: 72.8 % linear top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 300
sync_bn = True

model = dict(
    type='MoCoV3',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50, zero_init_residual=True),
    neck=dict(type='MLPProjector', in_channels=2048, hidden_channels=4096, out_channels=256, last_norm='plain'),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(type='MLPProjector', in_channels=256, hidden_channels=4096, out_channels=256),
        loss=dict(type='InfoNCELoss', temperature=1.0),
    ),
    teacher=dict(momentum=0.99, schedule='cosine'),
)

_view = dict(type='AugmentedView', size=224, min_scale=0.2, jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
_views = [dict(_view, blur=1.0), dict(_view, blur=0.1, solarize=0.2)]
train_dataloader = dict(batch_size=256, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='LARS', lr=4.8, weight_decay=1e-6, lr_mode='post'),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
