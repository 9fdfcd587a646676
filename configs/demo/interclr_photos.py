"""InterCLR on photo patches: ``make demo METHOD=interclr``."""

_base_ = ['../_base_/datasets/photo_patches.py', '../_base_/default_runtime.py']

max_epochs = 12

model = dict(
    type='InterCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, width=0.5, stem='small', out_indices=(2,)),
    neck=dict(
        type='MLPProjector',
        in_channels=128,
        hidden_channels=256,
        out_channels=64,
        norm=False,
        bias=True,
        last_bias=True,
    ),
    head=dict(type='InterImageLoss', num_clusters=100),
    teacher=dict(momentum=0.98, schedule='constant'),
    queue=dict(length=2048, dim=64),
    clusters=dict(dim=64, momentum=0.0, min_cluster=10),
    pairs=dict(num_negatives=512, num_candidates=2048),
    norm_group_size=64,
)
_labeller = dict(type='KMeansLabeller', num_clusters=100)
custom_hooks = [
    dict(type='PseudoLabelsHook', labeller=_labeller, transform=dict(type='CenterCropView', size=32)),
]

# Colour identifies a photograph, so it is jittered little. Views of 24 px keep crops near the scale of the 32-px patch.
_view = dict(type='AugmentedView', size=24, min_scale=0.2, jitter=(0.1, 0.1, 0.1, 0.0))
train_dataloader = dict(batch_size=256, dataset=dict(views=[_view, _view]))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=1)
