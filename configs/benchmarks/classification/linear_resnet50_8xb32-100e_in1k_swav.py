"""Linear probe of SwAV, ResNet-50, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb32-100e_in1k_swav.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD with learning rate 0.3 and decay 1e-6, cosine by epoch, batch 256, crop and flip, a standard deviation of
0.228 for red (official code).
Published: top-1 of the best epoch 72.1 %, 73.9 %, 74.6 %, 75.3 % after 100, 200, 400, 800 epochs of pre-training
(official README).
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

max_epochs = 100
model = dict(data_preprocessor=dict(std=(58.14, 57.12, 57.375)))
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=0.3, weight_decay=1e-6))
auto_scale_lr = dict(base_batch_size=256)
