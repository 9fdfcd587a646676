"""AdderNet, ResNet-20, 400 epochs of CIFAR-10 with labels: the settings of the official code.

    python tools/train.py configs/addernet/addernet_resnet20_1xb256-400e_cifar10.py

The optimizer scales the gradients of the adder filters by the local rate that the layers set, eta = 0.2. ResNet-32, and
the same network with convolutions:
    --cfg-options model.backbone.depth=32
    --cfg-options model.backbone.adder=False
Cost: 78,000 steps of 256 images of 32 px, on one GPU. Not measured here.
Expected: 92.02 % top-1 (official README; the paper has 91.84), ResNet-32 93.01 %.
"""

_base_ = ['../_base_/datasets/cifar10_labels.py', '../_base_/default_runtime.py']

max_epochs = 400

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='SelfSupDataPreprocessor', mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255]
    ),
    backbone=dict(type='AdderResNet', depth=20),
    neck=dict(type='Identity'),
    # A batch norm follows the logits; the weights start as PyTorch's defaults.
    head=dict(type='LinearClsHead', in_channels=64, num_classes=10, bias=False, logit_norm=True, init_std=None),
)

train_dataloader = dict(batch_size=256, dataset=dict(views=[dict(type='PaddedCropView', size=32)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
