"""CAPI, ViT-L/14, 500,000 steps of Places205.

    tools/dist_train.sh configs/capi/capi_vit-large_32xb512-3356e_places205.py 32

Cost: 500,044 steps of 16,384 images, 149 in an epoch of 2.45 million images. Not measured here.
Expected: 79.2 % attentive top-1 of ImageNet-1k, 35.2 % k-NN mIoU of ADE20K (official README).
"""

_base_ = 'capi_vit-large_32xb512-577e_in22k.py'

max_epochs = 3356
train_dataloader = dict(dataset=dict(data_root='data/places205'))
param_scheduler = dict(warmup_epochs=335.6)
