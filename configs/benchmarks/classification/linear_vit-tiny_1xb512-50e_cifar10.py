"""Linear probe on CIFAR-10, a tiny ViT with patches of 4 pixels, 50 epochs.

    python tools/train.py configs/benchmarks/classification/linear_vit-tiny_1xb512-50e_cifar10.py \
        --pretrained CHECKPOINT

Protocol: this project's: batch norm without factor and offset before the linear layer, SGD without decay, cosine,
crop and flip.
Published: no figure.
"""

_base_ = ['../../_base_/datasets/cifar10_labels.py', '../../_base_/default_runtime.py']

max_epochs = 50

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='VisionTransformer', arch='tiny', img_size=32, patch_size=4, position='sincos'),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=192, num_classes=10, norm='batch'),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.2)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=0.0))
param_scheduler = dict(type='WarmupCosineLR')
auto_scale_lr = dict(base_batch_size=512, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
