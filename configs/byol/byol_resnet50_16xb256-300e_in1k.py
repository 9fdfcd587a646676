"""BYOL, ResNet-50, 300 epochs: the official code's preset of that length (base lr 0.3, m0 0.99, weight decay 1e-6).

    tools/dist_train.sh configs/byol/byol_resnet50_16xb256-300e_in1k.py 16

Cost: 93,600 steps of 4096 image pairs. Not measured here.
Expected: 72.5 % linear top-1 (PASSL's documentation, quoting the paper).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 300
sync_bn = True

model = dict(
    type='BYOL',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50, conv_init='lecun'),
    neck=dict(type='MLPProjector', in_channels=2048, hidden_channels=4096, out_channels=256, bias=True),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(type='MLPProjector', in_channels=256, hidden_channels=4096, out_channels=256, bias=True),
        loss=dict(type='CosineRegressionLoss'),
    ),
    teacher=dict(momentum=0.99, schedule='cosine'),
)

_view = dict(
    type='AugmentedView',
    size=224,
    min_scale=0.08,
    crop='clamped',
    interpolation='bicubic-aliased',
    jitter=(0.4, 0.4, 0.2, 0.1),
    colors='tensorflow-offset',
    grayscale=0.2,
)
_views = [dict(_view, blur=1.0), dict(_view, blur=0.1, solarize=0.2)]
train_dataloader = dict(batch_size=256, dataset=dict(views=_views))

optim_wrapper = dict(optimizer=dict(type='LARS', lr=4.8, weight_decay=1e-6, lr_mode='post'))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
