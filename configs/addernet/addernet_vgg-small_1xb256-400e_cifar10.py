"""AdderNet, VGG-small, 400 epochs of CIFAR-10 with labels: the settings of the official code for ResNets.

    python tools/train.py configs/addernet/addernet_vgg-small_1xb256-400e_cifar10.py

The optimizer scales the gradients of the adder filters by the local rate that the layers set, eta = 0.2.
Cost: 78,000 steps of 256 images of 32 px, on one GPU. Not measured here.
Expected: 93.72 % top-1 (official README), of a network whose classifier is not published.
"""

_base_ = 'addernet_resnet20_1xb256-400e_cifar10.py'

model = dict(backbone=dict(_delete_=True, type='AdderVGG'), head=dict(in_channels=512))
