"""AdderNet, ResNet-18, 150 epochs of ImageNet-1k with labels: the settings that the authors gave.

    tools/dist_train.sh configs/addernet/addernet_resnet18_8xb32-150e_in1k.py 8

The optimizer scales the gradients of the adder filters by the local rate that the layers set, eta = 0.2.
Cost: 750,600 steps of 256 images of 224 px. Not measured here.
Expected: 67.0 % top-1, 87.6 % top-5 (official README).
"""

_base_ = 'addernet_resnet50_8xb32-150e_in1k.py'

model = dict(backbone=dict(depth=18), head=dict(in_channels=512))
