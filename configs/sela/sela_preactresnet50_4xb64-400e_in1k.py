"""SeLa, pre-activation ResNet-50, 400 epochs, ten heads of 3000 clusters: the network of the official script.

    tools/dist_train.sh configs/sela/sela_preactresnet50_4xb64-400e_in1k.py 4

Cost: 2,001,600 steps of 256 images and 99 labellings of 1,281,167 images, on 4 GPUs. Not measured here.
Expected: 61.5 % linear top-1 (official README), presumably of ten crops.
The official script's learning rate: --cfg-options optim_wrapper.optimizer.lr=0.08
"""

_base_ = 'sela_alexnet_4xb64-400e_in1k.py'

model = dict(backbone=dict(_delete_=True, type='PreActResNet', depth=50), head=dict(in_channels=2048, init='torch'))
