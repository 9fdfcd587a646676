r"""UPerNet on a ViT-B of BEiT, ADE20K, 160k steps of 16 crops of 512 pixels.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_beit-base_160k_ade20k-512x512.py 8 \
        --pretrained CHECKPOINT

Source: BEiT's segmentation code for a backbone that was pre-trained without labels: lr 7e-4, layer decay 0.65, maps of
blocks 4, 6, 8 and 12. A table of relative positions for each block begins as a copy of the shared one.
Published: none for ImageNet-1k without labels in BEiT's README.
"""

_base_ = 'upernet_vit-base_160k_ade20k-512x512.py'

model = dict(backbone=dict(type='mmssl.BEiTViT', relative_table='per-block'))
optim_wrapper = dict(optimizer=dict(lr=7e-4))
