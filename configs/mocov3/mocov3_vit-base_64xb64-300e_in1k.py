"""MoCo v3, ViT-B/16, 300 epochs.

    tools/dist_train.sh configs/mocov3/mocov3_vit-base_64xb64-300e_in1k.py 64

Cost: 93,600 steps of 4096 image pairs; the official run used 64 V100 of 32 GB. Not measured here.
Expected: 76.7 % linear top-1, 83.2 % fine-tuned (official README). Convolutional stem in place of one block:
    --cfg-options model.backbone.arch.depth=11 model.backbone.patch_embed='conv'
"""

_base_ = 'mocov3_vit-small_32xb128-300e_in1k.py'

model = dict(backbone=dict(arch=dict(embed_dim=768)), neck=dict(in_channels=768))
train_dataloader = dict(batch_size=64)
