"""AdderNet, ResNet-20, 400 epochs of CIFAR-100 with labels: the settings of the official code.

    python tools/train.py configs/addernet/addernet_resnet20_1xb256-400e_cifar100.py

The optimizer scales the gradients of the adder filters by the local rate that the layers set, eta = 0.2. ResNet-32, and
the same network with convolutions:
    --cfg-options model.backbone.depth=32
    --cfg-options model.backbone.adder=False
Cost: 78,000 steps of 256 images of 32 px, on one GPU. Not measured here.
Expected: 67.60 % top-1 (official README), ResNet-32 69.17 %.
"""

_base_ = 'addernet_resnet20_1xb256-400e_cifar10.py'

_data = dict(type='CIFAR100', data_root='data/cifar100')
model = dict(head=dict(num_classes=100))
train_dataloader = dict(dataset=_data)
val_dataloader = dict(dataset=_data)
