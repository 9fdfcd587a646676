r"""UPerNet on ConvMAE's ConvViT-B, ADE20K, 160k steps of 16 crops of 512 pixels.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_convvit-base_160k_ade20k-512x512.py 8 \
        --pretrained CHECKPOINT

Source: ConvMAE's segmentation code: lr 1e-4, layer decay 0.75, stochastic depth 0.2, maps of the three stages.
Deviations: the fourth map is the third one pooled, where the official code learns a convolution; positions are absolute
only, where it adds relative ones; and the branches of its transformer blocks have learned factors, 1 at the start.
Published: 51.7 mIoU after 1600 epochs of pre-training (ConvMAE's README).
"""

_base_ = 'upernet_vit-base_160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmssl.ConvViT',
        arch='base',
        img_size=512,
        output='maps',
        out_indices=(0, 1, 2, 3),
        position='learned',
        final_norm=False,
        drop_path_rate=0.2,
    ),
    neck=None,
    decode_head=dict(in_channels=[256, 384, 768, 768]),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.75))
