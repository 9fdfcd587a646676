"""CARE, ResNet-18 with the small stem, 200 epochs of CIFAR-10.

    python tools/train.py configs/care/care_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='CARE',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', out_indices=(2, 3)),
    neck=dict(
        type='TwoStreamProjector',
        in_channels=512,
        hidden_channels=4096,
        out_channels=256,
        attention=dict(
            type='BottleneckAttention',
            in_channels=256,
            hidden_channels=128,
            out_channels=512,
            num_blocks=5,
            num_heads=4,
            size=8,
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

_view = dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view, dict(_view, solarize=0.2)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
