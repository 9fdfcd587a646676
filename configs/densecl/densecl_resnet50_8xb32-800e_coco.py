"""DenseCL, ResNet-50, 800 epochs of COCO's train2017.

    tools/dist_train.sh configs/densecl/densecl_resnet50_8xb32-800e_coco.py 8

The evaluation while training is that of ImageNet; without ImageNet add ``--no-validate``.

Cost: 369,600 steps of 256 image pairs. Not measured here.
Expected: no published linear accuracy; VOC07+12 detection AP 56.7 (official README).
"""

_base_ = 'densecl_resnet50_8xb32-200e_in1k.py'

max_epochs = 800
train_dataloader = dict(dataset=dict(data_root='data/coco/train2017'))
optim_wrapper = dict(optimizer=dict(lr=0.3))
