"""SimSiam, ResNet-50, 100 epochs, batch 512, the predictor's learning rate fixed as for the published models.

    tools/dist_train.sh configs/simsiam/simsiam_resnet50_8xb64-100e_in1k.py 8

Cost: 250,200 steps of 512 image pairs on 8 GPUs. Not measured here.
Expected: 68.1 % linear top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 100
sync_bn = True

model = dict(
    type='SimSiam',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50, zero_init_residual=True),
    neck=dict(
        type='MLPProjector',
        in_channels=2048,
        hidden_channels=2048,
        out_channels=2048,
        num_layers=3,
        last_norm='plain',
        last_bias=True,  # the batch norm cancels it in training, not in evaluation
        freeze_last_bias=True,
    ),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(type='MLPProjector', in_channels=2048, hidden_channels=512, out_channels=2048, last_bias=True),
        loss=dict(type='NegativeCosineLoss'),
    ),
)

_view = dict(type='AugmentedView', size=224, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2, blur=0.5)
train_dataloader = dict(batch_size=64, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'predictor': dict(fix_lr=True)}),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
