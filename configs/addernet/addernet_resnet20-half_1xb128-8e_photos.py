"""AdderNet, ResNet-20 of half the width, 8 epochs of labelled photo patches: a comparison for two CPU cores.

    python tools/train.py configs/addernet/addernet_resnet20-half_1xb128-8e_photos.py

The same network with convolutions, at equal epochs:
    --cfg-options model.backbone.adder=False
Cost: 448 steps of 128 images of 32 px; the patches come with installed packages.
Expected: no published figure.
"""

_base_ = ['../_base_/datasets/photo_patches_labels.py', '../_base_/default_runtime.py']

max_epochs = 8

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='AdderResNet', depth=20, width=0.5),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=32, num_classes=18, bias=False, logit_norm=True, init_std=None),
)

train_dataloader = dict(batch_size=128, dataset=dict(views=[dict(type='PaddedCropView', size=32)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True)
auto_scale_lr = dict(base_batch_size=128, rule='linear')
