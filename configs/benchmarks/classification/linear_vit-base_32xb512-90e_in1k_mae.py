"""Linear probe of MAE, ViT-B/16, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_vit-base_32xb512-90e_in1k_mae.py 32 \
        --pretrained CHECKPOINT

Protocol: class token after the final norm, batch norm without factor and offset before the linear layer; LARS with
learning rate 0.1 x batch / 256 without decay, batch 16384, 10 epochs of warm-up, cosine, clamped bicubic crop and flip
(official code).
Published: top-1 67.8 % of the released checkpoint (official FINETUNE.md).
Note: the batch norm uses the global batch here, and the 512 images of a GPU in the official code.
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 90
sync_bn = True

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='VisionTransformer', arch='base', position='sincos'),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=768, num_classes=1000, norm='batch'),
)

_view = dict(type='AugmentedView', size=224, crop='clamped', interpolation='bicubic')
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic')))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='LARS', lr=6.4, weight_decay=0.0),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10)
auto_scale_lr = dict(base_batch_size=16384, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
