"""SimCLR, ResNet-50, 100 epochs: the official command and code (three-layer projector, weight decay 1e-4).

    tools/dist_train.sh configs/simclr/simclr_resnet50_16xb256-100e_in1k.py 16

Cost: 31,200 steps of 4096 image pairs; the official run used 32 TPU v3. Not measured here.
Expected: about 64.5 % linear top-1 (official README). The paper's settings instead:
    --cfg-options model.neck.num_layers=2 optim_wrapper.optimizer.weight_decay=1e-6
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 100
sync_bn = True

model = dict(
    type='SimCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255]),  # to [0, 1], no more
    backbone=dict(type='ResNet', depth=50, zero_init_residual=True, conv_init='lecun'),
    neck=dict(
        type='MLPProjector',
        in_channels=2048,
        hidden_channels=2048,
        out_channels=128,
        num_layers=3,
        last_norm='scale',
        init_cfg=dict(type='Normal', layer='Linear', std=0.01),
    ),
    head=dict(type='NTXentLoss', temperature=0.1),
)

_view = dict(
    type='AugmentedView',
    size=224,
    min_scale=0.08,
    crop='distorted',
    interpolation='bicubic-aliased',
    jitter=(0.8, 0.8, 0.8, 0.2),
    colors='tensorflow',
    grayscale=0.2,
    blur=0.5,
)
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='LARS', lr=4.8, weight_decay=1e-4, lr_mode='classic'))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=4096, rule='sqrt')  # lr = 0.075 sqrt(batch)
