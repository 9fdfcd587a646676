"""Linear probe of MoCo v3, ViT-B/16, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_vit-base_8xb128-90e_in1k_mocov3.py 8 \
        --pretrained CHECKPOINT

Protocol: class token after the final norm; SGD with learning rate 3 x batch / 256 without decay, cosine by epoch,
batch 1024, crop and flip (official code).
Published: top-1 76.7 % after 300 epochs of pre-training (official README).
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

model = dict(
    backbone=dict(_delete_=True, type='VisionTransformer', arch='base', position='sincos'), head=dict(in_channels=768)
)
optim_wrapper = dict(optimizer=dict(lr=12.0))
