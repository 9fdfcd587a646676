"""ReSim with a pyramid, ResNet-50, 400 epochs.

    tools/dist_train.sh configs/resim/resim_resnet50_8xb32-400e_in1k.py 8

Cost: 2,001,600 steps of 256 image pairs. Not measured here.
Expected: no published linear accuracy; COCO box AP 41.9 with FPN, 2x (official README).
"""

_base_ = 'resim_resnet50_8xb32-200e_in1k.py'

max_epochs = 400
