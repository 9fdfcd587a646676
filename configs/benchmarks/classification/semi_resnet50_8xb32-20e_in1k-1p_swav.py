"""Fine-tuning with 1 % of the labels as SwAV does, ResNet-50, 20 epochs.

    tools/dist_train.sh configs/benchmarks/classification/semi_resnet50_8xb32-20e_in1k-1p_swav.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD without decay, learning rate 0.02 of the backbone and 5 of the classifier, a fifth after 12 and 16
epochs, batch 256, synchronised norms, crop and flip, a deviation of red of 0.228 (official code).
Published: no figure in the official README.
Note: data/imagenet/subsets/1percent.txt is the list of that name that SimCLR publishes, one image name a line.
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 20
sync_bn = True

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', std=(58.14, 57.12, 57.375)),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000),
)

_view = dict(type='AugmentedView', size=224)
train_dataloader = dict(batch_size=32, dataset=dict(subset='subsets/1percent.txt', views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(lr_mult=250.0)}),
)
param_scheduler = dict(type='StepLR', milestones=[0.6, 0.8], gamma=0.2)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
