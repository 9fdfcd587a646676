"""Linear probe of MoCo v3, ViT-S/16, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_vit-small_8xb128-90e_in1k_mocov3.py 8 \
        --pretrained CHECKPOINT

Protocol: class token after the final norm; SGD with learning rate 3 x batch / 256 without decay, cosine by epoch,
batch 1024, crop and flip (official code).
Published: top-1 73.2 % after 300 epochs of pre-training (official README).
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

model = dict(
    backbone=dict(_delete_=True, type='VisionTransformer', arch='mocov3-small', position='sincos'),
    head=dict(in_channels=384),
)
optim_wrapper = dict(optimizer=dict(lr=12.0))
