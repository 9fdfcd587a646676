"""Faster R-CNN with a small iTPN, whose pyramid is the neck, on blood cells (BCCD).

    python tools/train.py configs/benchmarks/mmdetection/faster-rcnn_itpn-tiny_bccd.py --pretrained CHECKPOINT

Source: iTPN's backbone and pyramid in mmdet's Faster R-CNN; AdamW with a layer decay of 0.8: the head has the full lr,
and each layer below it 0.8 times that of the next.
Published: none for a protocol; AP is the mean over ten overlaps by Pascal VOC's 11-point rule, as MoCo reports it.
"""

_base_ = 'faster-rcnn_vit-tiny_bccd.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmssl.HiViT',
        arch=dict(embed_dim=192, depths=(1, 1, 10), num_heads=3),
        output='maps',
        drop_path_rate=0.1,
    ),
    neck=dict(type='mmssl.ITPNPyramid', in_channels=(48, 96, 192), out_channels=96, fpn_depth=2, num_outs=5),
    rpn_head=dict(in_channels=96, feat_channels=96),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=96), bbox_head=dict(in_channels=96)),
)
