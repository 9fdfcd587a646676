"""Linear probe of MoCo v1 and v2, ResNet-50, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb32-100e_in1k_moco.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD with learning rate 30 without decay, a tenth after 60 and 80 epochs, batch 256, crop and flip (official
code).
Published: top-1 60.6 % (MoCo v1, 200 epochs), 67.5 % and 71.1 % (v2, 200 and 800 epochs) (official
README).
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

optim_wrapper = dict(optimizer=dict(type='SGD', lr=30.0, momentum=0.9, weight_decay=0.0))
param_scheduler = dict(type='StepLR', milestones=[0.6, 0.8])
auto_scale_lr = dict(base_batch_size=256, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
