"""DetCo, ResNet-50, 100 epochs.

    tools/dist_train.sh configs/detco/detco_resnet50_8xb32-100e_in1k.py 8

Cost: 500,400 steps of 256 image pairs. Not measured here.
Expected: no published linear accuracy; VOC07+12 detection AP 57.4 (official README, a table in a picture).
"""

_base_ = 'detco_resnet50_8xb32-200e_in1k.py'

max_epochs = 100
