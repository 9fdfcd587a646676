"""Linear probe of CARE, ResNet-50, 80 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb32-80e_in1k_care.py 8 \
        --pretrained CHECKPOINT

Protocol: a batch norm follows the linear layer; SGD with learning rate 0.2 at batch 256 without decay, cosine by
iteration, crop and flip (official code).
Published: top-1 72.02 %, 73.78 %, 74.68 %, 75.56 % after 100, 200, 400, 800 epochs of pre-training (official README).
Note: the norm of the logits sees the global batch here, and the 32 images of a GPU in the official code; with it these
numbers do not compare with those of a plain linear probe. Other backbones of CARE:
    --cfg-options model.backbone.depth=101
    --cfg-options model.backbone.depth=152
    --cfg-options model.backbone.width_per_group=128
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 80
sync_bn = True

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000, logit_norm=True),
)

_view = dict(type='AugmentedView', size=224)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=0.0))
param_scheduler = dict(type='WarmupCosineLR')
auto_scale_lr = dict(base_batch_size=256, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
