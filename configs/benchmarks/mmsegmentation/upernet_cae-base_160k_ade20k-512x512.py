r"""UPerNet on a ViT-B of CAE, ADE20K, 160k steps of 16 crops of 512 pixels.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_cae-base_160k_ade20k-512x512.py 8 \
        --pretrained CHECKPOINT

Source: CAE's segmentation code: maps of blocks 4, 6, 8 and 12, relative positions of each block, layer decay 0.65. The
lr is that of a backbone of 1600 epochs; for 800 and 300 epochs `--cfg-options optim_wrapper.optimizer.lr=2e-4` and
3e-4.
Published: 48.1, 49.7 and 50.3 mIoU after 300, 800 and 1600 epochs of pre-training (CAE's README).
"""

_base_ = 'upernet_vit-base_160k_ade20k-512x512.py'

model = dict(backbone=dict(type='mmssl.CAEViT', relative_table='per-block'))
