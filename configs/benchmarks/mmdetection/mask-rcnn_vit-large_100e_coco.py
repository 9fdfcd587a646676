"""Mask R-CNN on a ViT-L (ViTDet: windows, four global blocks, a pyramid of the last map), COCO, 100 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_vit-large_100e_coco.py 64 --pretrained CHECKPOINT

Source: ViTDet (Li et al., 2022, arXiv:2203.16527) in detectron2: 64 images a step, lr 1e-4, layer decay 0.8, large
scale jitter to 1024 pixels; `--amp fp16` is its precision. Deviation: biases have no weight decay, where detectron2
exempts norms alone. The last block has 0.8 times the lr and the head the full lr, as in detectron2.
Published: 55.5 box AP, 49.2 mask AP with MAE's ViT-L (detectron2, projects/ViTDet).
"""

_base_ = 'mask-rcnn_vit-base_100e_coco.py'

model = dict(
    backbone=dict(arch='large', global_indices=(5, 11, 17, 23), drop_path_rate=0.4), neck=dict(in_channels=1024)
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.8))
