"""InterCLR on MoCo v2, ResNet-50, 10,000 clusters, 200 epochs.

    tools/dist_train.sh configs/interclr/interclr_resnet50_8xb32-200e_in1k.py 8

Cost: 1,000,800 steps of 256 image pairs and one k-means of all images, on 8 GPUs. Not measured here.
Expected: 68.04 % linear top-1 on the last stage (mmselfsup).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per process, and the shuffling of keys, are part of the method

model = dict(
    type='InterCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(
        type='MLPProjector',
        in_channels=2048,
        hidden_channels=2048,
        out_channels=128,
        norm=False,
        bias=True,
        last_bias=True,
    ),
    head=dict(type='InterImageLoss', num_clusters=10000, temperature=0.2, margin=-0.5, share=0.25),
    teacher=dict(momentum=0.999, schedule='constant'),
    queue=dict(length=65536, dim=128),
    clusters=dict(dim=128, momentum=0.0, min_cluster=20),
    pairs=dict(num_negatives=16384, num_candidates=128000),
)
custom_hooks = [
    dict(
        type='PseudoLabelsHook',
        labeller=dict(type='KMeansLabeller', num_clusters=10000),
        transform=dict(type='CenterCropView', resize=256, size=224),
    )
]

_view = dict(type='AugmentedView', size=224, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2, blur=0.5)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
