"""VICReg, ResNet-50, 100 epochs on one node: the official command of that length (base lr 0.3).

    tools/dist_train.sh configs/vicreg/vicreg_resnet50_8xb64-100e_in1k.py 8

Cost: 250,200 steps of 512 image pairs; the official command has one node of 8 GPUs. Not measured here.
Expected: no official figure for this length. Batch 2048 with the same base lr, as the authors advise:
    --cfg-options train_dataloader.batch_size=256 optim_wrapper.optimizer.lr=2.4
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 100
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
    optimizer=dict(type='LARS', lr=0.6, weight_decay=1e-6, lr_mode='post'),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, end_factor=0.001)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
