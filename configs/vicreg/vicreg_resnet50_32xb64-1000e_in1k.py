"""VICReg, ResNet-50, 1000 epochs: the released model (base lr 0.2).

    tools/dist_train.sh configs/vicreg/vicreg_resnet50_32xb64-1000e_in1k.py 32

Cost: 625,000 steps of 2048 image pairs; the official command has 4 nodes of 8 GPUs. Not measured here.
Expected: 73.2 % linear top-1 (official README).
"""

_base_ = 'vicreg_resnet50_8xb64-100e_in1k.py'

max_epochs = 1000
optim_wrapper = dict(optimizer=dict(lr=1.6))
auto_scale_lr = dict(base_batch_size=2048)
