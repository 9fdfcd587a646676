"""SwAV, ResNet-50 of twice the width, 400 epochs of batch 4096, two views of 224 px and four of 96.

    tools/dist_train.sh configs/swav/swav_resnet50-2x_128xb32-400e_in1k.py 128

Cost: 124,800 steps of 4096 images in 2 + 4 views, on 128 GPUs. Not measured here.
Expected: 77.3 % linear top-1 (official README).
"""

_base_ = 'swav_resnet50_64xb64-800e_in1k.py'

max_epochs = 400
model = dict(backbone=dict(width=2), neck=dict(in_channels=4096, hidden_channels=8192))
train_dataloader = dict(batch_size=32, dataset=dict(views=[*[_base_._global] * 2, *[_base_._local] * 4]))
