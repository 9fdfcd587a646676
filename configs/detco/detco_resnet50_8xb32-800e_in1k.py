"""DetCo, ResNet-50, 800 epochs.

    tools/dist_train.sh configs/detco/detco_resnet50_8xb32-800e_in1k.py 8

Cost: 4,003,200 steps of 256 image pairs. Not measured here.
Expected: no published linear accuracy; VOC07+12 detection AP 58.2 (official README, a table in a picture).
"""

_base_ = 'detco_resnet50_8xb32-200e_in1k.py'

max_epochs = 800
