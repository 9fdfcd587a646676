"""Mask R-CNN on ConvMAE's ConvViT-B (windows of 16 patches, four global blocks, an FPN), COCO, 25 epochs.

    tools/dist_train.sh configs/benchmarks/mmdetection/mask-rcnn_convvit-base_25e_coco.py 32 --pretrained CHECKPOINT

Source: ConvMAE's detection code in detectron2: 32 images a step, lr 8e-5 without layer decay, cosine, large scale
jitter to 1024 pixels, maps of the three stages and the last one pooled. Deviation: relative positions are decomposed by
axis in each block, where the official code has one table for the windowed and one for the global blocks, and the
absolute positions train, which are fixed there. Biases and positions have no weight decay.
Published: 53.2 box AP, 47.1 mask AP with ConvMAE after 1600 epochs (official README).
"""

_base_ = 'mask-rcnn_vit-base_100e_coco.py'

sync_bn = 'torch'
_norm = dict(type='BN')
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmssl.WindowedConvViT',
        arch='base',
        out_indices=(0, 1, 2, 3),
        window_size=16,
        global_indices=(0, 4, 8, 10),
        relative_size=64,
        position='learned',
        final_norm=False,
        drop_path_rate=0.1,
    ),
    neck=dict(
        _delete_=True, type='FPN', in_channels=[256, 384, 768, 768], out_channels=256, num_outs=5, norm_cfg=_norm
    ),
    roi_head=dict(
        bbox_head=dict(norm_cfg=dict(_delete_=True, **_norm)),
        mask_head=dict(norm_cfg=dict(_delete_=True, **_norm)),
    ),
)
train_cfg = dict(max_iters=92187)
_positions = dict(pos_embed=dict(decay_mult=0.0), rel_pos=dict(decay_mult=0.0))
_groups = dict(_delete_=True, vectors=dict(decay_mult=0.0), custom_keys=_positions)
optim_wrapper = dict(optimizer=dict(lr=8e-5), paramwise_cfg=_groups)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=461),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=0, end=92187, T_max=92187),
]
auto_scale_lr = dict(base_batch_size=32)
