"""SimCLR, ResNet-50, 1000 epochs: the settings of the paper and its released model (two layers, weight decay 1e-6).

    tools/dist_train.sh configs/simclr/simclr_resnet50_16xb256-1000e_in1k.py 16

Cost: 312,000 steps of 4096 image pairs; the official run used 32 TPU v3. Not measured here.
Expected: 69.1 % linear top-1 (released model, official README). The official code's present defaults instead:
    --cfg-options model.neck.num_layers=3 optim_wrapper.optimizer.weight_decay=1e-4
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 1000
sync_bn = True

model = dict(
    type='SimCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255]),  # to [0, 1] only
    backbone=dict(type='ResNet', depth=50, zero_init_residual=True, conv_init='lecun'),
    neck=dict(
        type='MLPProjector',
        in_channels=2048,
        hidden_channels=2048,
        out_channels=128,
        num_layers=2,
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
    colors='tensorflow-offset',
    grayscale=0.2,
    blur=0.5,
)
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='LARS', lr=4.8, weight_decay=1e-6, lr_mode='classic'))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=4096, rule='sqrt')  # lr = 0.075 sqrt(batch)
