"""Linear probe of BYOL, ResNet-50, 80 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_16xb256-80e_in1k_byol.py 16 \
        --pretrained CHECKPOINT

Protocol: SGD with Nesterov momentum, learning rate 0.2 x batch / 256 without decay, batch 4096, cosine, clamped bicubic
crop and flip (official code, which its README calls a simplification: the paper has batch 1024, and chooses among five
rates on images held out of the training set).
Published: top-1 74.4 % of the released checkpoint of 1000 epochs (official README).
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 80

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000, init_std=2048**-0.5),
)

_view = dict(type='AugmentedView', size=224, crop='clamped', interpolation='bicubic-aliased')
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic-aliased')))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=3.2, momentum=0.9, weight_decay=0.0, nesterov=True))
param_scheduler = dict(type='WarmupCosineLR')
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
