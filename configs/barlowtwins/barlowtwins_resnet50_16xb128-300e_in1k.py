"""Barlow Twins, ResNet-50, 300 epochs: the official recipe at the length that re-implementations use.

    tools/dist_train.sh configs/barlowtwins/barlowtwins_resnet50_16xb128-300e_in1k.py 16

The weight decay and the learning rate of biases and norms differ from the official numbers, for the reason that the
recipe of 1000 epochs gives.

Cost: 187,500 steps of 2048 image pairs. Not measured here.
Expected: no official figure for this length.
"""

_base_ = 'barlowtwins_resnet50_16xb128-1000e_in1k.py'

max_epochs = 300
