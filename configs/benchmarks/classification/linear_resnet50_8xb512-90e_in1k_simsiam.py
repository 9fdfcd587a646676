"""Linear probe of SimSiam, ResNet-50, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb512-90e_in1k_simsiam.py 8 \
        --pretrained CHECKPOINT

Protocol: LARC over all tensors with learning rate 0.1 x batch / 256 without decay, cosine by epoch, batch 4096, crop
and flip (official code).
Published: top-1 68.1 % and 68.3 % after 100 epochs of pre-training with batch 512 and 256 (official README).
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

train_dataloader = dict(batch_size=512)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='LARS', lr=1.6, weight_decay=0.0, excluded=False, ratio='larc'))
auto_scale_lr = dict(base_batch_size=4096)
