"""Fine-tuning of iTPN-L, pre-trained with a CLIP teacher, 50 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_itpn-large_64xb16-50e_in1k_itpn-clip.py 64 \
        --pretrained CHECKPOINT

Protocol: mean of the units and a norm after it; AdamW with learning rate 2e-4, decay 0.05, nominal layer decay 0.55
to the power 13 / 45, 5 epochs of warm-up, cosine to 1e-6, stochastic depth 0.25, RandAugment, erasing, mixup, CutMix,
label smoothing, images scaled to [-1, 1] (official code).
Published: top-1 87.0 % and 87.8 % with CLIP-B and CLIP-L as teacher (official repository).
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 50

_half = (127.5, 127.5, 127.5)
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=_half, std=_half),
    backbone=dict(
        type='HiViT',
        arch='itpn-large',
        output='mean',
        position_bias='table',
        layer_scale=0.1,
        drop_path_rate=0.25,
    ),
    neck=dict(type='Identity'),
    head=dict(
        type='LinearClsHead',
        in_channels=768,
        num_classes=1000,
        norm='layer',
        init_std=2e-5,
        loss=dict(type='CrossEntropyLoss', label_smoothing=0.1),
    ),
    mix=dict(type='BatchMix', num_classes=1000, mixup=0.8, cutmix=1.0),
)

_view = dict(
    type='SupervisedView',
    size=224,
    rand_augment='rand-m9-mstd0.5-inc1',
    erase=0.25,
    mean=_half,
    std=_half,
)
train_dataloader = dict(batch_size=16, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic')))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.55 ** (13 / 45), vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5, peak_in_warmup=True, end_factor=5e-3)
auto_scale_lr = dict(base_batch_size=1024, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
