"""Mask R-CNN on iTPN-L (CLIP) with its pre-trained pyramid, COCO, 12 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_itpn-large-clip_1x_coco.py 32 --pretrained CHECKPOINT

The neck is the pre-trained pyramid: every tensor of backbone and neck is loaded. Coarser levels have no parameters.
Source: iTPN's detection code, the 1x file of CLIP iTPN-L: 32 GPUs with 2 images, multi-scale crops of DETR; `--amp
fp16` is its precision.
Deviation: layer decay counts residual blocks, and the last block has 0.95 times the lr. The official code numbers the
merges too, without adding them to the total, and gives it 1.05 times the lr. `fpn_depth` is that of the checkpoint (1
for CLIP). Images have ImageNet's mean and deviation, as in the official code, although pre-training scales to [-1, 1].
Published: 55.2 box AP, 48.2 mask AP (iTPN's table). The bias by axis starts at its initial values; the checkpoint's
table of relative positions is not loaded.
"""

_base_ = 'mask-rcnn_itpn-base-pixel_3x_coco.py'

max_epochs = 12
train_cfg = dict(max_epochs=max_epochs)
model = dict(
    backbone=dict(arch='itpn-large', position=dict(bias='axis'), layer_scale=0.1, drop_path_rate=0.2),
    neck=dict(in_channels=(192, 384, 768), fpn_depth=1),
)
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay=0.95))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs, milestones=[9, 11])
