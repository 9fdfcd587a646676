"""CAPI, ViT-L/14, 500,000 steps of ImageNet-1k.

    tools/dist_train.sh configs/capi/capi_vit-large_32xb512-6410e_in1k.py 32

Cost: 499,980 steps of 16,384 images, 78 in an epoch. Not measured here.
Expected: 82.9 % attentive top-1 of ImageNet-1k, 29.2 % k-NN mIoU of ADE20K (official README).
"""

_base_ = 'capi_vit-large_32xb512-577e_in22k.py'

max_epochs = 6410
train_dataloader = dict(dataset=dict(data_root='data/imagenet/train'))
param_scheduler = dict(warmup_epochs=641)
