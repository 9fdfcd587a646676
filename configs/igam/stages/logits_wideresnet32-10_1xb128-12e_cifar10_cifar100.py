"""A linear layer for CIFAR-100 on the frozen features of a robust network for CIFAR-10: the second stage of IGAM.

    python tools/train.py configs/igam/stages/logits_wideresnet32-10_1xb128-12e_cifar10_cifar100.py \
        --pretrained CHECKPOINT

Cost: 4,680 steps of 128 images without a backward pass through the network. Not measured here.
"""

_base_ = ['../../_base_/datasets/cifar100_labels.py', '../../_base_/default_runtime.py']

max_epochs = 12

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),  # pixels of 0-255
    backbone=dict(
        type='AdaptedInput',
        steps=[dict(type='PerImageNorm', scale='std')],
        network=dict(type='WideResNet', depth=32, width_factor=10, variant='madry'),
    ),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=640, num_classes=100, init_std=0.04),
)

train_dataloader = dict(batch_size=128, dataset=dict(views=[dict(type='PaddedCropView', size=32, padding=2)]))

optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
auto_scale_lr = dict(base_batch_size=128, rule='linear')
