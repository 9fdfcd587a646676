"""Fine-tuning of any ResNet-50 with all labels, 105 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_resnet50_8xb32-105e_in1k_vissl.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD with Nesterov momentum, learning rate 0.1 at batch 256, divided by 10 after 30, 60, 90 and 100 epochs, no
decay, crop and flip (VISSL's transfer benchmark).
Published: no figure.
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 105

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000),
)

_view = dict(type='AugmentedView', size=224)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=True))
param_scheduler = dict(type='StepLR', milestones=[30 / 105, 60 / 105, 90 / 105, 100 / 105])
auto_scale_lr = dict(base_batch_size=256, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
