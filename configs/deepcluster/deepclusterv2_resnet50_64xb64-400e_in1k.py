"""DeepCluster-v2, ResNet-50, 400 epochs of batch 4096, two views of 160 px and four of 96.

    tools/dist_train.sh configs/deepcluster/deepclusterv2_resnet50_64xb64-400e_in1k.py 64

Cost: 124,800 steps of 4096 images in 2 + 4 views; the official run took 3 min 13 s an epoch on 64 GPUs.
Not measured here.
Expected: 74.3 % linear top-1 (official README).
"""

_base_ = 'deepclusterv2_resnet50_64xb64-800e_in1k.py'

max_epochs = 400
_global = dict(_base_._view, size=160, min_scale=0.08)
train_dataloader = dict(dataset=dict(views=[*[_global] * 2, *[_base_._local] * 4]))
