"""Linear probe of Barlow Twins, ResNet-50, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb32-100e_in1k_barlowtwins.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD with learning rate 0.3 and decay 1e-6, cosine by epoch, batch 256, crop and flip (official code).
Published: top-1 73.5 %, top-5 91.0 % after 1000 epochs of pre-training (official README).
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

max_epochs = 100
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=0.3, weight_decay=1e-6))
auto_scale_lr = dict(base_batch_size=256)
