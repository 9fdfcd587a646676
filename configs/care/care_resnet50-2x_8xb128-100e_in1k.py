"""CARE, ResNet-50 with inner convolutions twice as wide, 100 epochs.

    tools/dist_train.sh configs/care/care_resnet50-2x_8xb128-100e_in1k.py 8

Cost: 125,100 steps of 1024 image pairs; the official run used 8 GPUs of 128 pairs. Not measured here.
Expected: 73.51 % linear top-1 (official README, its own protocol: see the card).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 100
sync_bn = True

model = dict(
    type='CARE',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50, width_per_group=128, out_indices=(2, 3)),
    neck=dict(
        type='TwoStreamProjector',
        in_channels=2048,
        hidden_channels=4096,
        out_channels=256,
        attention=dict(
            type='BottleneckAttention',
            in_channels=1024,
            hidden_channels=512,
            out_channels=2048,
            num_blocks=5,
            num_heads=4,
            size=14,
            norm_group_size=128,
        ),
    ),
    head=dict(
        type='TwoStreamPredictHead',
        predictor=dict(
            type='MLPProjector', in_channels=256, hidden_channels=4096, out_channels=256, bias=True, last_bias=True
        ),
        loss=dict(type='CARELoss', attention_weight=100.0),
    ),
    teacher=dict(momentum=0.99, schedule='cosine'),
)

_order = ('jitter', 'blur', 'grayscale', 'solarize')
_view = dict(type='AugmentedView', size=224, jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2, order=_order)
_views = [dict(_view, blur=1.0), dict(_view, blur=0.1, solarize=0.2)]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, start_factor=5e-6)
auto_scale_lr = dict(base_batch_size=1024, rule='linear')
