r"""UPerNet on iTPN-L (pixels) with its pre-trained pyramid, ADE20K, 160k steps of 16 crops of 512 pixels.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_itpn-large-pixel_160k_ade20k-512x512.py 8 \
        --pretrained CHECKPOINT

The neck is the pre-trained pyramid: each level concatenates its output and the backbone's map; the fourth is pooled.
Source: iTPN's segmentation code: 8 GPUs with 2 crops, relative positions, which are new after pixel pre-training, and a
nominal layer decay of 0.95, which its code turns into 0.95 ** (13 / layers). Deviations: the layers here are the 44
residual blocks and one. The official code numbers the merges too, without adding them to the total, so its last block
has more than the lr; there, position tables have weight decay. The table of absolute positions is resized once, when it
is loaded, and trained at the size of a crop; the official code trains the table of 14 x 14 and resizes it in each
forward pass, as DINO does.
Published: 56.1 mIoU with 1600 epochs of pre-training (iTPN's table).
"""

_base_ = 'upernet_vit-base_160k_ade20k-512x512.py'

_levels = dict(in_channels=(192, 384, 768), fpn_depth=2, num_outs=4)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmssl.HiViT',
        arch='itpn-large',
        img_size=512,
        output='maps',
        position=dict(bias='table', resample='dino'),
        drop_path_rate=0.2,
        eps=1e-5,
    ),
    neck=dict(_delete_=True, type='mmssl.ITPNPyramid', **_levels, concat=True, eps=1e-5),
    decode_head=dict(in_channels=[448, 640, 1024, 1024]),
    auxiliary_head=dict(in_channels=1024),
)
optim_wrapper = dict(optimizer=dict(lr=3e-5), paramwise_cfg=dict(layer_decay=0.95 ** (13 / 45)))
