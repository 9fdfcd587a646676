"""SimCLR, ResNet-20 of adder layers, 200 epochs of CIFAR-10, with the official temperature.

    python tools/train.py configs/simclr/simclr_resnet20-adder_1xb512-200e_cifar10.py

An example of an adder network (AdderNet, see configs/addernet/README.md) in a self-supervised method. It trains with
SGD instead of LARS, because the trust ratio of LARS would scale the gradients of the adder filters a second time.
Cost: 19,400 steps of 512 image pairs of 32 px, on one GPU. Not measured here.
Expected: no published figure.
"""

_base_ = 'simclr_resnet18_1xb512-200e_cifar10.py'

model = dict(backbone=dict(_delete_=True, type='AdderResNet', depth=20), neck=dict(in_channels=64))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
