"""Attentive probe of CAE, ViT-B/16, 90 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_vit-base_16xb512-90e_in1k_cae-attentive.py 16 \
        --pretrained CHECKPOINT

Protocol: a learned query attends to all tokens after the final norm, then a batch norm without factor and offset and a
linear layer; SGD with learning rate 0.4 at batch 8192 without decay, 10 epochs of warm-up, cosine to 1e-6, crop, flip.
Published: top-1 74.0 %, 75.9 % and 77.2 % after 300, 800 and 1600 epochs of pre-training (official README).
Note: the batch norm uses the global batch here, and the images of a GPU in the official code.
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 90
sync_bn = True

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='CAEViT', arch='base', output='tokens'),
    neck=dict(type='Identity'),
    head=dict(type='AttentiveClsHead', in_channels=768, num_classes=1000, num_heads=12),
)

_view = dict(type='AugmentedView', size=224, interpolation='bicubic')
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic')))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.4, momentum=0.9, weight_decay=0.0))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, peak_in_warmup=True, end_factor=2.5e-6)
auto_scale_lr = dict(base_batch_size=8192, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
