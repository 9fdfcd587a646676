"""SwAV, ResNet-50, 400 epochs of batch 4096, without multi-crop: two views of 224 px.

    tools/dist_train.sh configs/swav/swav_resnet50-2views_64xb64-400e_in1k.py 64

Cost: 124,800 steps of 4096 images in two views, on 64 GPUs. Not measured here.
Expected: 70.1 % linear top-1 (official README).
"""

_base_ = 'swav_resnet50_64xb64-800e_in1k.py'

max_epochs = 400
_view = dict(_base_._view, size=224, min_scale=0.08)
train_dataloader = dict(dataset=dict(views=[_view] * 2))
