"""Linear probe of BYOL, ResNet-50, 80 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_16xb256-80e_in1k_byol.py 16 \
        --pretrained CHECKPOINT

Protocol: SGD with Nesterov momentum, learning rate 0.2 x batch / 256 without decay, batch 4096, cosine, clamped bicubic
crop and flip (official code, which its README calls a simplification: the paper has batch 1024, and chooses among five
rates on images held out of the training set).
Published: top-1 74.4 % of the released checkpoint of 1000 epochs (official README).
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

max_epochs = 80
model = dict(head=dict(init_std=2048**-0.5))
_view = dict(_base_._view, crop='clamped', interpolation='bicubic-aliased')
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic-aliased')))
optim_wrapper = dict(optimizer=dict(lr=3.2, nesterov=True))
param_scheduler = dict(_delete_=True, type='WarmupCosineLR')
auto_scale_lr = dict(base_batch_size=4096)
