"""Mask R-CNN on HiViT-B with windows and a new FPN, COCO, 36 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_hivit-base_3x_coco.py 8 --pretrained CHECKPOINT

Source: HiViT's detection code: 8 GPUs with 2 images, multi-scale crops of DETR, windows of 14 units with four global
blocks, a norm for each level, positions resized as in DINO. Deviation: layer decay counts the residual blocks of all
stages. The official code counts the 20 blocks of the last stage, and the first two stages have the lr of the embedding.
Published: 53.3 box AP (HiViT's README; iTPN's table quotes 51.2 box AP, 44.2 mask AP for 3x).
"""

_base_ = 'mask-rcnn_itpn-base-pixel_3x_coco.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmssl.WindowedHiViT',
        arch='base',
        output='maps',
        out_indices=(0, 1, 2, 3),
        window_size=14,
        global_indices=(4, 9, 14, 19),
        position=dict(resample='dino'),
        drop_path_rate=0.2,
    ),
    neck=[
        dict(type='mmssl.LevelNorms', in_channels=(128, 256, 512, 512)),
        dict(type='FPN', in_channels=[128, 256, 512, 512], out_channels=256, num_outs=5),
    ],
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
auto_scale_lr = dict(base_batch_size=16)
