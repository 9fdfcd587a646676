"""Fine-tuning of BEiT, ViT-B/16, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_vit-base_16xb64-100e_in1k_beit.py 16 \
        --pretrained CHECKPOINT

Protocol: mean of the patch tokens and a norm after it, relative positions of each block; AdamW with learning rate
4e-3 at batch 1024, decay 0.05, layer decay 0.65, 20 epochs of warm-up, cosine to 1e-6, stochastic depth 0.1,
RandAugment, erasing, mixup, CutMix, label smoothing (official README and code).
Published: top-1 83.2 % after pre-training on ImageNet-1k (paper); 83.7 % after ImageNet-22k (official README). The
checkpoints of ImageNet-22k expect images in [-1, 1], those of the recipes here ImageNet's statistics; for the former:
    --cfg-options model.data_preprocessor.mean=[127.5,127.5,127.5] model.data_preprocessor.std=[127.5,127.5,127.5]
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 100

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='BEiTViT',
        arch='base',
        output='mean',
        relative_table='per-block',
        final_norm=False,
        drop_path_rate=0.1,
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
train_dataloader = dict(batch_size=64, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic')))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='AdamW', lr=4e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.65, vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20, peak_in_warmup=True, end_factor=2.5e-4)
auto_scale_lr = dict(base_batch_size=1024, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
