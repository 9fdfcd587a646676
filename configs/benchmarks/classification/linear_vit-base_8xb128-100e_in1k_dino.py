"""Linear probe of DINO, ViT-B/16, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_vit-base_8xb128-100e_in1k_dino.py 8 \
        --pretrained CHECKPOINT

Protocol: class token and mean of the patch tokens, after the final norm, of the teacher; SGD with learning rate 0.001
x batch / 256 without decay, cosine by epoch, batch 1024, crop and flip (official code).
Published: top-1 78.2 % of the released checkpoint (official README).
Note: add --use-teacher to the command: the averaged network is what DINO evaluates. Its ViT-S, which has the class
tokens of four blocks side by side, is not here.
"""

_base_ = ['../../_base_/datasets/in1k_labels.py', '../../_base_/default_runtime.py']

max_epochs = 100

model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='VisionTransformer', arch='base', output='tokens', resample='dino'),
    neck=dict(type='TokenPool', parts=('cls', 'mean')),
    head=dict(type='LinearClsHead', in_channels=1536, num_classes=1000),
)

_view = dict(type='AugmentedView', size=224)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic')))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.004, momentum=0.9, weight_decay=0.0))
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True)
auto_scale_lr = dict(base_batch_size=1024, rule='linear')
default_hooks = dict(checkpoint=dict(save_best='top1'))
