"""DeepCluster, ResNet-50 on colours, 200 epochs, 10,000 clusters; batch and learning rate are those of mmselfsup.

    tools/dist_train.sh configs/deepcluster/deepcluster_resnet50_8xb64-200e_in1k.py 8

Cost: 500,400 steps of 512 images and 200 labellings of 1,281,167 images, on 8 GPUs. Not measured here.
Expected: no published figure; with Sobel gradients and stronger colours mmselfsup has 46.92 % linear top-1.
"""

_base_ = 'deepcluster_alexnet-sobel_1xb256-200e_in1k.py'

sync_bn = True
model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=50),
    head=dict(_delete_=True, type='ClusterHead', in_channels=2048, num_clusters=10000),
)
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=0.1))
auto_scale_lr = dict(base_batch_size=512)
