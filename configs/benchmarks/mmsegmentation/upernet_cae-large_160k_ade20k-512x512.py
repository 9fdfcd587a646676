r"""UPerNet on a ViT-L of CAE, ADE20K, 160k steps of 16 crops of 512 pixels.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_cae-large_160k_ade20k-512x512.py 8 \
        --pretrained CHECKPOINT

Source: CAE's segmentation code: maps of blocks 8, 12, 16 and 24, lr 4e-5, layer decay 0.95, stochastic depth 0.15.
Published: 54.9 mIoU after 1600 epochs of pre-training (CAE's README).
"""

_base_ = 'upernet_vit-base_160k_ade20k-512x512.py'

_backbone = dict(type='mmssl.CAEViT', arch='large', relative_table='per-block', layer_scale=1e-5, init='beit')
model = dict(
    backbone=dict(**_backbone, out_indices=(7, 11, 15, 23), drop_path_rate=0.15),
    neck=dict(embed_dim=1024),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024], channels=1024),
    auxiliary_head=dict(in_channels=1024),
)
optim_wrapper = dict(optimizer=dict(lr=4e-5), paramwise_cfg=dict(layer_decay=0.95))
