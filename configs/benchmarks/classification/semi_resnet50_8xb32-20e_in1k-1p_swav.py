"""Fine-tuning with 1 % of the labels as SwAV does, ResNet-50, 20 epochs.

    tools/dist_train.sh configs/benchmarks/classification/semi_resnet50_8xb32-20e_in1k-1p_swav.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD without decay, learning rate 0.02 of the backbone and 5 of the classifier, divided by 5 after 12 and 16
epochs, batch 256, synchronised norms, crop and flip, a standard deviation of 0.228 for red, a classifier with PyTorch's
initial values (official code).
Published: no figure in the official README.
Note: data/imagenet/subsets/1percent.txt is SimCLR's published list of that name, one image name a line.
"""

_base_ = 'semi_resnet50_8xb32-20e_in1k-1p_vicreg.py'

sync_bn = True
model = dict(data_preprocessor=dict(std=(58.14, 57.12, 57.375)), head=dict(init_std=None))
optim_wrapper = dict(optimizer=dict(lr=0.02), paramwise_cfg=dict(custom_keys={'head.fc': dict(lr_mult=250.0)}))
param_scheduler = dict(_delete_=True, type='StepLR', milestones=[0.6, 0.8], gamma=0.2)
