"""Linear probe of MoCo v1 and v2, ResNet-50, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb32-100e_in1k_moco.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD with learning rate 30 without decay, divided by 10 after 60 and 80 epochs, batch 256, crop and flip
(official code).
Published: top-1 60.6 % (MoCo v1, 200 epochs), 67.5 % and 71.1 % (v2, 200 and 800 epochs) (official
README).
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

max_epochs = 100
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=30.0))
param_scheduler = dict(_delete_=True, type='StepLR', milestones=[0.6, 0.8])
auto_scale_lr = dict(base_batch_size=256)
