"""SimSiam, ResNet-50, 100 epochs, batch 256, the predictor's learning rate fixed as for the published models.

    tools/dist_train.sh configs/simsiam/simsiam_resnet50_8xb32-100e_in1k.py 8

Cost: 500,400 steps of 256 image pairs on 8 GPUs. Not measured here.
Expected: 68.3 % linear top-1 (official README).
"""

_base_ = 'simsiam_resnet50_8xb64-100e_in1k.py'

train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=0.05))
auto_scale_lr = dict(base_batch_size=256)
