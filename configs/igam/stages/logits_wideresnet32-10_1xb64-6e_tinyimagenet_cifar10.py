"""A linear layer for CIFAR-10, enlarged to 64 px, on a robust network for Tiny-ImageNet: the second stage of IGAM.

    python tools/train.py configs/igam/stages/logits_wideresnet32-10_1xb64-6e_tinyimagenet_cifar10.py \
        --pretrained CHECKPOINT

Cost: 4,686 steps of 64 images without a backward pass through the network. Not measured here.
"""

_base_ = ['../../_base_/datasets/cifar10_labels.py', '../../_base_/default_runtime.py']

max_epochs = 6

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1]),  # pixels of 0-255
    backbone=dict(
        type='AdaptedInput',
        steps=[dict(type='FitImages', size=64, way='resize_tf'), dict(type='PerImageNorm', scale='l2')],
        network=dict(type='WideResNet', depth=32, width_factor=10, variant='madry'),
    ),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=640, num_classes=10, init_std=0.04),
)

train_dataloader = dict(batch_size=64, dataset=dict(views=[dict(type='PaddedCropView', size=32, padding=2)]))

optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
auto_scale_lr = dict(base_batch_size=64, rule='linear')
