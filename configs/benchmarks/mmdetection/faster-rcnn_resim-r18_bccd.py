"""Faster R-CNN with a ResNet-18 of half the width and the pyramid that ReSim pre-trains, on blood cells (BCCD).

    python tools/train.py configs/benchmarks/mmdetection/faster-rcnn_resim-r18_bccd.py --pretrained CHECKPOINT

CHECKPOINT is one of configs/demo/resim_caltech101.py. The neck takes levels 3 to 5 of its pyramid; level 2 and the
output of level 5 are new.
Source: ``faster-rcnn_r18-fpn_bccd.py``, with another neck.
Published: none for this protocol. ``--suite pyramid`` compares it with the backbone alone, over several seeds.
"""

_base_ = 'faster-rcnn_r18-fpn_bccd.py'

_levels = [2, 3, 4, 5]
_neck = dict(type='mmssl.TopDownNeck', in_channels=[32, 64, 128, 256], out_channels=64, num_outs=5)
model = dict(neck=dict(_delete_=True, **_neck, levels=_levels, out_levels=_levels))
