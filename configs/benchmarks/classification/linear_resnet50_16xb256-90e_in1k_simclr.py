"""Linear probe of SimCLR, ResNet-50, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_16xb256-90e_in1k_simclr.py 16 \
        --pretrained CHECKPOINT

Protocol: the classifier begins at zero; SGD with Nesterov momentum, learning rate 0.1 x batch / 256 and decay 1e-6,
batch 4096, cosine, TensorFlow's bicubic crop and flip, images in [0, 1] (official README and code).
Published: top-1 69.1 % of the released checkpoint of 1000 epochs (official README).
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 90

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000, init_std=0.0),
)

_view = dict(type='AugmentedView', size=224, crop='distorted', interpolation='bicubic-aliased')
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic-aliased')))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=1.6, momentum=0.9, weight_decay=1e-6, nesterov=True))
param_scheduler = dict(type='WarmupCosineLR')
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
