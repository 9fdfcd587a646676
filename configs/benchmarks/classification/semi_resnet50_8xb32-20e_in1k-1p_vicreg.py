"""Fine-tuning with 1 % of the labels as VICReg does, ResNet-50, 20 epochs.

    tools/dist_train.sh configs/benchmarks/classification/semi_resnet50_8xb32-20e_in1k-1p_vicreg.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD without decay, learning rate 0.03 of the backbone and 0.08 of the classifier, cosine by epoch, batch
256, crop and flip (official README).
Published: no figure in the official README.
Note: data/imagenet/subsets/1percent.txt is SimCLR's published list of that name, one image name a line.
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 20

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000),
)

_view = dict(type='AugmentedView', size=224)
train_dataloader = dict(batch_size=32, dataset=dict(subset='subsets/1percent.txt', views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(lr_mult=8 / 3)}),
)
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
