"""Fine-tuning on CIFAR-10, a tiny ViT with patches of 4 pixels, 50 epochs.

    python tools/train.py configs/benchmarks/classification/finetune_vit-tiny_1xb256-50e_cifar10.py \
        --pretrained CHECKPOINT

Protocol: this project's: MAE's protocol with a shorter warm-up, on images of 32 px.
Published: no figure.
"""

_base_ = ['../../_base_/datasets/cifar10_labels.py', '../../_base_/default_runtime.py']

max_epochs = 50

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch='tiny',
        img_size=32,
        patch_size=4,
        output='mean',
        final_norm=False,
        drop_path_rate=0.1,
    ),
    neck=dict(type='Identity'),
    head=dict(
        type='LinearClsHead',
        in_channels=192,
        num_classes=10,
        norm='layer',
        init_std=2e-5,
        loss=dict(type='CrossEntropyLoss', label_smoothing=0.1),
    ),
    mix=dict(type='BatchMix', num_classes=10, mixup=0.8, cutmix=1.0),
)

_view = dict(type='SupervisedView', size=32, rand_augment='rand-m9-mstd0.5-inc1', erase=0.25, min_scale=0.4)
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view]))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.75, vectors=dict(decay_mult=0.0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=3)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
