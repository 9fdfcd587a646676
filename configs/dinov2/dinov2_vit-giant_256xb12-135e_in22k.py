"""DINOv2, ViT-g/14, 624,000 steps of ImageNet-22k: the official configuration of the largest network.

    tools/dist_train.sh configs/dinov2/dinov2_vit-giant_256xb12-135e_in22k.py 256

Cost: 623,835 steps of 3072 images in 2 + 8 views. The official file says 12 images per GPU; the number of GPUs is this
project's choice, and ``strategy='fsdp2'`` with ``--amp bf16`` divides weights and optimizer among them. Not
measured here.
Expected: no published figure; the released ViT-g was trained on other data.
"""

_base_ = 'dinov2_vit-large_96xb32-135e_in22k.py'

_wide = dict(in_channels=1536)
model = dict(
    backbone=dict(arch=dict(size='dinov2-giant')),
    neck=dict(images=_wide, patches=_wide),
    koleo=dict(group_size=12),
)
train_dataloader = dict(batch_size=12)
