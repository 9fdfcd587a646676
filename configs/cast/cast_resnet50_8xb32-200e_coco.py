"""CAST, ResNet-50, 200 epochs of COCO's train2017, with saliency maps of your own.

    tools/dist_train.sh configs/cast/cast_resnet50_8xb32-200e_coco.py 8

The maps are grey images, ``data/coco/saliency/train2017/NAME.png`` for each ``NAME.jpg``. Without maps, which are then
estimated, add

    --cfg-options train_dataloader.dataset.maps=None

The evaluation while training is that of ImageNet; without ImageNet add ``--no-validate``.

Cost: 92,400 steps of 256 image pairs. Not measured here.
Expected: no figure in the official README.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per process, and the shuffling of keys, are part of the method

_linear = dict(type='MLPProjector', in_channels=2048, hidden_channels=None, out_channels=128, num_layers=1)
model = dict(
    type='CAST',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(**_linear, last_bias=True),
    head=dict(type='QueueContrastLoss', temperature=0.07),
    teacher=dict(momentum=0.999, schedule='constant'),
    queue=dict(length=65536, dim=128),
    attention_weight=0.75,
)

_colors = dict(jitter=(0.4, 0.4, 0.4, 0.4), jitter_prob=0.5, grayscale=0.2, order=('grayscale', 'jitter'))
_view = dict(type='SalientView', size=224, min_scale=0.2, **_colors)
_images = dict(type='ImageFolder', data_root='data/coco/train2017')
_maps = 'data/coco/saliency/train2017'
train_dataloader = dict(
    batch_size=32,
    dataset=dict(_delete_=True, type='SalientImages', dataset=_images, maps=_maps, views=[_view, _view]),
)

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.5, momentum=0.9, weight_decay=1e-4), clip_grad=dict(max_norm=2.0))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
