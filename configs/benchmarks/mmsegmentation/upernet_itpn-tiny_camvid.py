"""UPerNet with a small iTPN, whose pyramid is the neck, on CamVid.

    python tools/train.py configs/benchmarks/mmsegmentation/upernet_itpn-tiny_camvid.py --pretrained CHECKPOINT

Source: iTPN's UPerNet, without relative positions; AdamW with a layer decay of 0.8: the head has the full lr, and each
layer below it 0.8 times that of the next.
Published: none for this protocol. Use it to compare checkpoints at equal budget, over several seeds.
"""

_base_ = 'upernet_vit-tiny_camvid.py'

model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    backbone=dict(
        _delete_=True,
        type='mmssl.HiViT',
        arch=dict(embed_dim=192, depths=(1, 1, 10), num_heads=3),
        output='maps',
        drop_path_rate=0.1,
    ),
    neck=dict(
        _delete_=True,
        type='mmssl.ITPNPyramid',
        in_channels=(48, 96, 192),
        out_channels=96,
        fpn_depth=2,
        num_outs=4,
        concat=True,
    ),
    decode_head=dict(in_channels=[144, 192, 288, 288]),
    auxiliary_head=dict(in_channels=288),
)
