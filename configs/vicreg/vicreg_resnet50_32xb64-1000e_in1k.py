"""VICReg, ResNet-50, 1000 epochs: the released model (base lr 0.2).

    tools/dist_train.sh configs/vicreg/vicreg_resnet50_32xb64-1000e_in1k.py 32

Cost: 625,000 steps of 2048 image pairs; the official command has 4 nodes of 8 GPUs. Not measured here.
Expected: 73.2 % linear top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 1000
sync_bn = True

model = dict(
    type='VICReg',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50, zero_init_residual=True),
    neck=dict(type='MLPProjector', in_channels=2048, hidden_channels=8192, out_channels=8192, num_layers=3, bias=True),
    head=dict(type='VICRegLoss', invariance=25.0, variance=25.0, covariance=1.0),
)

_view = dict(
    type='AugmentedView',
    size=224,
    min_scale=0.08,
    interpolation='bicubic',
    jitter=(0.4, 0.4, 0.2, 0.1),
    grayscale=0.2,
)
_views = [dict(_view, blur=1.0), dict(_view, blur=0.1, solarize=0.2)]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='LARS', lr=1.6, weight_decay=1e-6, lr_mode='post'),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, end_factor=0.001)
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
