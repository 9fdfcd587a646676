"""InterCLR on MoCo v2, ResNet-18, 500 clusters, 200 epochs of CIFAR-10.

    python tools/train.py configs/interclr/interclr_resnet18_1xb512-200e_cifar10.py

Cost: 19,400 steps of 512 image pairs of 32 px and one k-means of all images, on one GPU. Not measured here.
Expected: no published figure; the settings are this project's choice.
"""

_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per group, and the shuffling of keys, are part of the method

model = dict(
    type='InterCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small'),
    neck=dict(
        type='MLPProjector',
        in_channels=512,
        hidden_channels=512,
        out_channels=128,
        norm=False,
        bias=True,
        last_bias=True,
    ),
    head=dict(type='InterImageLoss', num_clusters=500, temperature=0.1),
    teacher=dict(momentum=0.99, schedule='constant'),
    queue=dict(length=4096, dim=128),
    clusters=dict(dim=128, momentum=0.0, min_cluster=10),
    pairs=dict(num_negatives=1024, num_candidates=8192),
    norm_group_size=64,  # as with eight processes
)
_labeller = dict(type='KMeansLabeller', num_clusters=500)
custom_hooks = [
    dict(type='PseudoLabelsHook', labeller=_labeller, transform=dict(type='CenterCropView', size=32)),
]

_view = dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(batch_size=512, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=512, rule='linear')
