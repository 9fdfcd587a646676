"""Linear probe of SimSiam, ResNet-50, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb512-90e_in1k_simsiam.py 8 \
        --pretrained CHECKPOINT

Protocol: LARC over all tensors with learning rate 0.1 x batch / 256 without decay, cosine by epoch, batch 4096, crop
and flip (official code).
Published: top-1 68.1 % and 68.3 % after 100 epochs of pre-training with batch 512 and 256 (official README).
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
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='LARS', lr=1.6, weight_decay=0.0, excluded=False))
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True)
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
