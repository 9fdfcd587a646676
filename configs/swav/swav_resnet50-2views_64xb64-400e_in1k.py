"""SwAV, ResNet-50, 400 epochs of batch 4096, without multi-crop: two views of 224 px.

    tools/dist_train.sh configs/swav/swav_resnet50-2views_64xb64-400e_in1k.py 64

Cost: 124,800 steps of 4096 images in two views, on 64 GPUs. Not measured here.
Expected: 70.1 % linear top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 400
sync_bn = True

model = dict(
    type='SwAV',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', std=[58.14, 57.12, 57.375]),  # as in the official code
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='MLPProjector', in_channels=2048, hidden_channels=2048, out_channels=128, bias=True, last_bias=True),
    head=dict(type='PrototypeHead', in_channels=128, num_prototypes=3000),
)
custom_hooks = [dict(type='FreezeHook', name='head.prototypes', epochs=1)]

_view = dict(type='AugmentedView', size=224, min_scale=0.08, jitter=(0.8, 0.8, 0.8, 0.2), grayscale=0.2, blur=0.5)
train_dataloader = dict(batch_size=64, dataset=dict(views=[_view] * 2))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='LARS', lr=4.8, weight_decay=1e-6, ratio='larc', excluded=False),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, start_factor=0.0625, end_factor=1e-3)  # from 0.3
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
