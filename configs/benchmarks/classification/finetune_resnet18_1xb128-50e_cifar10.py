"""Fine-tuning on CIFAR-10, ResNet-18, 50 epochs.

    python tools/train.py configs/benchmarks/classification/finetune_resnet18_1xb128-50e_cifar10.py \
        --pretrained CHECKPOINT

Protocol: this project's: SGD, cosine, crop and flip.
Published: no figure.
"""

_base_ = ['../../_base_/datasets/cifar10_labels.py', '../../_base_/default_runtime.py']

max_epochs = 50

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=512, num_classes=10),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.4)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=5e-4, nesterov=True))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
