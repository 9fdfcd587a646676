"""NPID, ResNet-50, 200 epochs: the configuration of OpenSelfSup and mmselfsup.

    tools/dist_train.sh configs/npid/npid_resnet50_8xb32-200e_in1k.py 8

Cost: 1,000,800 steps of 256 images, on 8 GPUs; the bank takes 656 MB on each. Not measured here.
Expected: 56.60 % linear top-1 (OpenSelfSup), 58.3 % (mmselfsup).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = True

model = dict(
    type='NPID',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(
        type='MLPProjector',
        in_channels=2048,
        hidden_channels=None,
        out_channels=128,
        num_layers=1,
        last_bias=True,
        init_cfg=dict(type='Kaiming', layer='Linear', mode='fan_in'),
    ),
    head=dict(type='MemoryContrastLoss', temperature=0.07),
    bank=dict(length=1281167, dim=128, momentum=0.5),
    num_negatives=65536,
)

_colors = dict(jitter=(0.4, 0.4, 0.4, 0.4), jitter_prob=1.0, grayscale=0.2, order=('grayscale', 'jitter'))
train_dataloader = dict(
    batch_size=32, dataset=dict(views=[dict(type='AugmentedView', size=224, min_scale=0.2, **_colors)])
)

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='StepLR', milestones=[0.6, 0.8])  # epochs 120 and 160
auto_scale_lr = dict(base_batch_size=256, rule='linear')
