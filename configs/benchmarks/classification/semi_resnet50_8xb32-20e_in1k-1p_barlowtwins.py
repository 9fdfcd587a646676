"""Fine-tuning with 1 % of the labels as Barlow Twins does, ResNet-50, 20 epochs.

    tools/dist_train.sh configs/benchmarks/classification/semi_resnet50_8xb32-20e_in1k-1p_barlowtwins.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD without decay, learning rate 0.005 of the backbone and 0.5 of the classifier, cosine by epoch, batch
256, crop and flip (official code).
Published: no figure in the official README.
Note: data/imagenet/subsets/1percent.txt is SimCLR's published list of that name, one image name a line.
"""

_base_ = 'semi_resnet50_8xb32-20e_in1k-1p_vicreg.py'

optim_wrapper = dict(optimizer=dict(lr=0.005), paramwise_cfg=dict(custom_keys={'head.fc': dict(lr_mult=100.0)}))
