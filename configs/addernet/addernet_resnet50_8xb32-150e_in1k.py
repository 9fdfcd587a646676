"""AdderNet, ResNet-50, 150 epochs of ImageNet-1k with labels: the settings that the authors gave.

    tools/dist_train.sh configs/addernet/addernet_resnet50_8xb32-150e_in1k.py 8

The optimizer scales the gradients of the adder filters by the local rate that the layers set, eta = 0.2.
Cost: 750,600 steps of 256 images of 224 px. Not measured here.
Expected: 74.9 % top-1, 91.7 % top-5 (official README).
"""

_base_ = ['../_base_/datasets/in1k_labels.py', '../_base_/default_runtime.py']

max_epochs = 150

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='AdderResNet', depth=50),
    neck=dict(type='Identity'),
    # A batch norm follows the logits; the weights start as those of a convolution, He's normal with fan-out.
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000, logit_norm=True, init_std=0.0447),
)

train_dataloader = dict(batch_size=32, dataset=dict(views=[dict(type='AugmentedView', size=224)]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='WarmupCosineLR', by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
