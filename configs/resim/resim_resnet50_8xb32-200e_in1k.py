"""ReSim with a pyramid, ResNet-50, 200 epochs.

    tools/dist_train.sh configs/resim/resim_resnet50_8xb32-200e_in1k.py 8

Cost: 1,000,800 steps of 256 image pairs. Not measured here.
Expected: no published linear accuracy; COCO box AP 41.4 with FPN, 2x (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 200
sync_bn = False  # norm statistics per process, and the shuffling of keys, are part of the method

_projector = dict(type='MLPProjector', in_channels=2048, hidden_channels=2048, out_channels=128)
model = dict(
    type='ReSim',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=50, out_indices=(1, 2, 3)),
    neck=dict(
        type='PyramidProjector',
        projector=dict(**_projector, norm=False, bias=True, last_bias=True),
        pyramid=dict(type='TopDownNeck', in_channels=(512, 1024, 2048), out_channels=256),
    ),
    head=dict(type='QueueContrastLoss', temperature=0.2),
    teacher=dict(momentum=0.999, schedule='constant'),
    queue=dict(length=65536, dim=128),
    windows=[dict(side=32, stride=24, bank='process'), dict(side=48, stride=32)],  # of P3 and P4
    region_loss=dict(type='RegionContrastLoss', temperature=0.2),
)

_colors = dict(jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2, blur=0.5, order=('blur', 'jitter', 'grayscale'))
_view = dict(type='AlignedView', size=224, min_scale=0.2, **_colors)
train_dataloader = dict(batch_size=32, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=0, by_epoch=True)
auto_scale_lr = dict(base_batch_size=256, rule='linear')
