"""DINOv2, ViT-S/16, 125,000 steps of ImageNet-1k with the settings of the official "short" training.

    tools/dist_train.sh configs/dinov2/dinov2_vit-small_8xb256-200e_in1k.py 8

Cost: 125,000 steps of 2048 images in 2 + 8 views. Not measured here.
Expected: no published figure; the released ViT-S/14 was distilled from a larger network.
"""

_base_ = 'dinov2_vit-large_32xb64-200e_in1k.py'

model = dict(backbone=dict(arch=dict(size='small')), neck=dict(images=dict(in_channels=384)))
train_dataloader = dict(batch_size=256)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(mask_token=dict(lr_mult=0.9**13))))
