"""Mask R-CNN on iTPN-B (pixels) with its pre-trained pyramid, COCO, 12 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_itpn-base-pixel_1x_coco.py 32 --pretrained CHECKPOINT

The neck is the pre-trained pyramid: every tensor of backbone and neck is loaded. Coarser levels have no parameters.
Source: iTPN's detection code, pixel_itpn_base_1x: 32 GPUs with 2 images, multi-scale crops of DETR; `--amp fp16` is its
precision.
Deviation: layer decay counts residual blocks, and the last block has 0.9 times the lr. The official code numbers the
merges too, without adding them to the total, and gives it 1.11 times the lr. `fpn_depth` is that of the checkpoint (2
for pixels).
Published: 53.0 box AP, 46.5 mask AP with 1600 epochs of pre-training (iTPN's table).
"""

_base_ = 'mask-rcnn_itpn-base-pixel_3x_coco.py'

max_epochs = 12
train_cfg = dict(max_epochs=max_epochs)
model = dict(backbone=dict(drop_path_rate=0.05))
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs, milestones=[9, 11])
