"""A2MIM, ViT-S/16, 800 epochs.

    tools/dist_train.sh configs/a2mim/a2mim_vit-small_8xb256-800e_in1k.py 8

Cost: 500,000 steps of 2048 images, all patches encoded. Not measured here.
Expected: 82.1 % fine-tuned for 200 epochs (official README).
"""

_base_ = 'a2mim_vit-base_16xb128-800e_in1k.py'

model = dict(backbone=dict(arch='small'), mask_token=dict(channels=384), neck=dict(in_channels=384))
train_dataloader = dict(batch_size=256)
