"""Fine-tuning with 10 % of the labels as VICReg does, ResNet-50, 20 epochs.

    tools/dist_train.sh configs/benchmarks/classification/semi_resnet50_8xb32-20e_in1k-10p_vicreg.py 8 \
        --pretrained CHECKPOINT

Protocol: SGD without decay, learning rate 0.01 of the backbone and 0.1 of the classifier, cosine by epoch, batch 256,
crop and flip (official README).
Published: no figure in the official README.
Note: data/imagenet/subsets/10percent.txt is SimCLR's published list of that name, one image name a line.
"""

_base_ = 'semi_resnet50_8xb32-20e_in1k-1p_vicreg.py'

train_dataloader = dict(dataset=dict(subset='subsets/10percent.txt'))
optim_wrapper = dict(optimizer=dict(lr=0.01), paramwise_cfg=dict(custom_keys={'head.fc': dict(lr_mult=10.0)}))
