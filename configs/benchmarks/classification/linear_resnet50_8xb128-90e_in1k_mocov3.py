"""Linear probe of MoCo v3, ResNet-50, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb128-90e_in1k_mocov3.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD with learning rate 0.1 x batch / 256 without decay, cosine by epoch, batch 1024, crop and flip (official
code).
Published: top-1 68.9 %, 72.8 %, 74.6 % after 100, 300, 1000 epochs of pre-training (official README).
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 90

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000),
)

_view = dict(type='AugmentedView', size=224)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.4, momentum=0.9, weight_decay=0.0))
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True)
auto_scale_lr = dict(base_batch_size=1024, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
