"""Linear probe of SimCLR, ResNet-50, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_16xb256-90e_in1k_simclr.py 16 \
        --pretrained CHECKPOINT

Protocol: the classifier begins at zero; SGD with Nesterov momentum, learning rate 0.1 x batch / 256 and decay 1e-6,
batch 4096, cosine, TensorFlow's bicubic crop and flip, images in [0, 1] (official README and code).
Published: top-1 69.1 % of the released checkpoint of 1000 epochs (official README).
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

model = dict(data_preprocessor=dict(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)), head=dict(init_std=0.0))
_view = dict(_base_._view, crop='distorted', interpolation='bicubic-aliased')
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic-aliased')))
optim_wrapper = dict(optimizer=dict(lr=1.6, weight_decay=1e-6, nesterov=True))
param_scheduler = dict(_delete_=True, type='WarmupCosineLR')
auto_scale_lr = dict(base_batch_size=4096)
