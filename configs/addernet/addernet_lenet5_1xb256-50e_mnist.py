"""AdderNet, LeNet-5-BN, 50 epochs of MNIST with labels: the settings of the paper.

    python tools/train.py configs/addernet/addernet_lenet5_1xb256-50e_mnist.py

The optimizer scales the gradients of the adder filters by the local rate that the layers set, eta = 0.2.
Cost: 11,700 steps of 256 images of 28 px. Not measured here.
Expected: no figure that was checked; the paper reports 99.4 % with adder layers and with convolutions.
"""

_base_ = ['../_base_/datasets/mnist_labels.py', '../_base_/default_runtime.py']

max_epochs = 50

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[33.32] * 3, std=[78.57] * 3),
    backbone=dict(type='LeNet5BN'),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=84, num_classes=10, init_std=None),
)

train_dataloader = dict(batch_size=256, dataset=dict(views=[dict(type='PaddedCropView', size=28, padding=0, flip=0.0)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True))
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
