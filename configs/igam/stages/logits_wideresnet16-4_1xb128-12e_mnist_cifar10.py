"""A linear layer for CIFAR-10 on a robust network for MNIST, which sees grey central crops: the second stage of IGAM.

    python tools/train.py configs/igam/stages/logits_wideresnet16-4_1xb128-12e_mnist_cifar10.py \
        --pretrained CHECKPOINT

Cost: 4,680 steps of 128 images without a backward pass through the network. Not measured here.
"""

_base_ = 'logits_wideresnet32-10_1xb64-6e_tinyimagenet_cifar10.py'

max_epochs = 12
model = dict(
    backbone=dict(
        steps=[dict(type='FitImages', size=28, way='crop', grey=True), dict(type='PerImageNorm', scale='std')],
        network=dict(depth=16, width_factor=4),
    ),
    head=dict(_delete_=True, type='LinearClsHead', in_channels=256, num_classes=10),
)
train_dataloader = dict(batch_size=128)
auto_scale_lr = dict(base_batch_size=128)
