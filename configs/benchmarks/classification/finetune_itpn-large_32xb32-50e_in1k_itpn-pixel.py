"""Fine-tuning of iTPN-L, pre-trained on pixels, 50 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_itpn-large_32xb32-50e_in1k_itpn-pixel.py 32 \
        --pretrained CHECKPOINT

Protocol: mean of the units and a norm after it, relative positions that begin at zero; AdamW with learning rate 1e-3
x batch / 256, decay 0.05, nominal layer decay 0.55, which the official code takes to the power 13 / 45, 5 epochs of
warm-up, cosine to 5e-6, stochastic depth 0.2, RandAugment, erasing, mixup, CutMix, label smoothing (official code).
Published: top-1 86.3 % and 86.7 % after 400 and 1600 epochs of pre-training (official repository).
Note: one of the targets of the paper is not in the released code, so its models may fall short of these figures.
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 50

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='HiViT',
        arch='itpn-large',
        output='mean',
        position_bias='table',
        drop_path_rate=0.2,
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

_view = dict(type='SupervisedView', size=224, rand_augment='rand-m9-mstd0.5-inc1', erase=0.25)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic')))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='AdamW', lr=4e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.55 ** (13 / 45), vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5, end_factor=1.25e-3)
auto_scale_lr = dict(base_batch_size=1024, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
