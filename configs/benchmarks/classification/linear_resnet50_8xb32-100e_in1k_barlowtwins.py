"""Linear probe of Barlow Twins, ResNet-50, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb32-100e_in1k_barlowtwins.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD with learning rate 0.3 and decay 1e-6, cosine by epoch, batch 256, crop and flip (official code).
Published: top-1 73.5 %, top-5 91.0 % after 1000 epochs of pre-training (official README).
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 100

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000),
)

_view = dict(type='AugmentedView', size=224)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.3, momentum=0.9, weight_decay=1e-6))
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
