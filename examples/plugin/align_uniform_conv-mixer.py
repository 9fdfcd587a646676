"""SimCLR's two views with the plugin's loss on the plugin's backbone, for any folder of small images.

    python tools/train.py examples/plugin/align_uniform_conv-mixer.py \
        --cfg-options train_dataloader.dataset.data_root=/data/photos
"""

custom_imports = dict(imports=['mmssl_example'], allow_failed_imports=False)

max_epochs = 20
sync_bn = True

model = dict(
    type='SimCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ConvMixer', width=128, depth=4),
    neck=dict(type='MLPProjector', in_channels=128, hidden_channels=256, out_channels=64),
    head=dict(type='AlignUniformLoss', weight=1.0),
)

_view = dict(type='AugmentedView', size=32, min_scale=0.2, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2)
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    drop_last=True,
    sampler=dict(type='EpochSampler'),
    collate_fn=dict(type='collate_views'),
    dataset=dict(type='ImageFolder', data_root='data/photos', views=[_view, _view]),
)
train_cfg = dict(by_epoch=True)

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05))
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=2)
