"""SeLa, ResNet-18 with the small stem, 400 epochs of CIFAR-10, ten heads of 128 clusters.

    python tools/train.py configs/sela/sela_resnet18_1xb128-400e_cifar10.py

Cost: 156,000 steps of 128 images of 32 px and 398 labellings of 50,000 images, on one GPU. Not measured here.
Expected: no published figure; the official CIFAR-10 runs train an AlexNet on 224 px.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 400

model = dict(
    type='SeLa',
    num_labellings=400,
    spacing='linear',
    data_preprocessor=dict(
        type='SelfSupDataPreprocessor', mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255]
    ),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(type='Identity'),
    head=dict(type='ClusterHead', in_channels=512, num_clusters=128, num_heads=10, init='torch'),
)
_labeller = dict(type='TransportLabeller', num_clusters=128, num_heads=10, power=10, tolerance=0.01)
custom_hooks = [dict(type='PseudoLabelsHook', labeller=_labeller)]

_view = dict(
    type='AugmentedView',
    size=32,
    min_scale=0.2,
    jitter=(0.4, 0.4, 0.4, 0.4),
    jitter_prob=1.0,
    grayscale=0.2,
)
train_dataloader = dict(batch_size=128, dataset=dict(views=[_view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='StepLR', milestones=[0.6, 0.8])  # epochs 240, 320
auto_scale_lr = dict(base_batch_size=128, rule='linear')
