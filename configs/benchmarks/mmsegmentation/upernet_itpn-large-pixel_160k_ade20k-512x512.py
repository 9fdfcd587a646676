r"""UPerNet on iTPN-L (pixels) with its pre-trained pyramid, ADE20K, 160k steps of 16 crops of 512 pixels.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_itpn-large-pixel_160k_ade20k-512x512.py 8 \
        --pretrained CHECKPOINT

The pyramid is the neck: each level is its output beside the backbone's map, and a fourth is pooled.
Source: iTPN's segmentation code: 8 GPUs with 2 crops, relative positions, which are new after pixel pre-training, and a
nominal layer decay of 0.95, which its code makes 0.95 ** (13 / layers). The layers here are the 44 residual blocks and
one; there, merges count but not in the total, so that the last block has more than the lr, and position tables decay.
Published: 56.1 mIoU with 1600 epochs of pre-training (iTPN's table).
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
        type='mmssl.HiViT',
        arch='itpn-large',
        img_size=512,
        output='maps',
        position_bias='table',
        resample='dino',
        drop_path_rate=0.2,
        eps=1e-5,
    ),
    neck=dict(
        _delete_=True,
        type='mmssl.ITPNPyramid',
        in_channels=(192, 384, 768),
        fpn_depth=2,
        num_outs=4,
        concat=True,
        eps=1e-5,
    ),
    decode_head=dict(in_channels=[448, 640, 1024, 1024], channels=768, num_classes=150),
    auxiliary_head=dict(in_channels=1024, num_classes=150),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
train_dataloader = dict(batch_size=2)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmssl.GroupedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=3e-5, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.95 ** (13 / 45), vectors=dict(decay_mult=0.0)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=160000),
]
auto_scale_lr = dict(base_batch_size=16)
