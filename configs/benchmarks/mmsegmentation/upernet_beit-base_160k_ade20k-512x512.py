r"""UPerNet on a ViT-B of BEiT, ADE20K, 160k steps of 16 crops of 512 pixels.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_beit-base_160k_ade20k-512x512.py 8 \
        --pretrained CHECKPOINT

Source: BEiT's segmentation code for a backbone that was pre-trained without labels: lr 7e-4, layer decay 0.65, maps of
blocks 4, 6, 8 and 12. A table of relative positions for each block begins as a copy of the shared one.
Published: none for ImageNet-1k without labels in BEiT's README.
"""

_base_ = [
    'mmseg::_base_/models/upernet_mae.py',
    'mmseg::_base_/datasets/ade20k.py',
    'mmseg::_base_/default_runtime.py',
    '../../_base_/segmentation_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        _delete_=True,
        type='mmssl.BEiTViT',
        arch='base',
        output='maps',
        out_indices=(3, 5, 7, 11),
        relative_table='per-block',
        final_norm=False,
        drop_path_rate=0.1,
    ),
    neck=dict(embed_dim=768),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768, num_classes=150),
    auxiliary_head=dict(in_channels=768, num_classes=150),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
train_dataloader = dict(batch_size=2)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmssl.GroupedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=7e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.65, vectors=dict(decay_mult=0.0)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=160000),
]
auto_scale_lr = dict(base_batch_size=16)
