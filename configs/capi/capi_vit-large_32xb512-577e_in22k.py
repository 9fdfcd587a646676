"""CAPI, ViT-L/14, 500,000 steps of ImageNet-22k: the official default configuration.

    tools/dist_train.sh configs/capi/capi_vit-large_32xb512-577e_in22k.py 32

Cost: 499,682 steps of 16,384 images; the teacher encodes 256 patches of each, the student 90, and 8 are predicted. Not
measured here.
Expected: 83.6 % attentive top-1 of ImageNet-1k, 29.7 % k-NN mIoU of ADE20K (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 577

model = dict(
    type='CAPI',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='CAPIViT', arch='large', patch_size=14, output='tokens', drop_path_rate=0.2),
    masker=dict(type='InverseBlockMasker', ratio=0.65, predicted=0.05, patch_size=14),
    neck=dict(type='CAPIPredictor', in_channels=1024, out_channels=16384, depth=12, num_heads=16, drop_path_rate=0.2),
    head=dict(type='OnlineClusterHead', in_channels=1024, num_clusters=16384),
    teacher=dict(momentum=0.999, schedule='truncated'),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.6, interpolation='bicubic')]
train_dataloader = dict(batch_size=512, dataset=dict(data_root='data/imagenet22k', views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0.1),  # weights of norms
        custom_keys={
            'patch_embed': dict(lr_mult=0.2),
            'patch_embed.proj.bias': dict(lr_mult=0.2, decay_mult=0),
            'head.clusters': dict(lr_mult=0.5, decay_mult=0.1),  # of an optimizer of their own in the official code
        },
    ),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=57.7, peak_in_warmup=True, part=0.8)
auto_scale_lr = dict(base_batch_size=16384, rule='sqrt')
