"""Linear probe of ConvMAE, ConvViT-B, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_convvit-base_32xb128-90e_in1k_convmae.py 32 \
        --pretrained CHECKPOINT

Protocol: mean of the tokens, batch norm without factor and offset before the linear layer; LARS with learning rate 0.1
x batch / 256 without decay, batch 4096, 10 epochs of warm-up, cosine, clamped bicubic crop and flip.
Published: top-1 70.9 % after 1600 epochs of pre-training (official README).
Note: the official code has a layer norm with its initial values between the mean and the batch norm.
"""

_base_ = 'linear_vit-base_32xb512-90e_in1k_mae.py'

model = dict(backbone=dict(_delete_=True, type='ConvViT', final_norm=False))
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=1.6))
auto_scale_lr = dict(base_batch_size=4096)
