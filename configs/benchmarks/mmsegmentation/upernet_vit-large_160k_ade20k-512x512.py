r"""UPerNet on a ViT-L, ADE20K, 160k steps of 16 crops of 512 pixels.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_vit-large_160k_ade20k-512x512.py 8 \
        --pretrained CHECKPOINT

Source: as for ViT-B; blocks 8, 12, 16 and 24 as in BEiT's recipe for ViT-L, layer decay and stochastic depth as MAE
fine-tunes ViT-L on ImageNet. No official code gives these settings together.
Published: no number that was checked.
"""

_base_ = 'upernet_vit-base_160k_ade20k-512x512.py'

model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23), drop_path_rate=0.2),
    neck=dict(embed_dim=1024),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024], channels=1024),
    auxiliary_head=dict(in_channels=1024),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.75))
