"""Barlow Twins, ResNet-50, 300 epochs: the official recipe at the length that re-implementations use.

    tools/dist_train.sh configs/barlowtwins/barlowtwins_resnet50_16xb128-300e_in1k.py 16

The official code trains with 1/16 of the gradient on its 16 processes. With LARS that changes weight decay, biases and
norms alone, so the exact gradient, on any number of processes, makes the same steps with 16 times the decay and 1/16 of
the learning rate of biases and norms; these stand below. The card has the official numbers.

Cost: 187,500 steps of 2048 image pairs. Not measured here.
Expected: no official figure for this length.
"""

_base_ = 'barlowtwins_resnet50_16xb128-1000e_in1k.py'

max_epochs = 300
