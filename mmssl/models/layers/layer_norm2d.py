"""Layer norm over the channels of feature maps, registered for configs of mmdet and mmseg."""

from __future__ import annotations

import timm.layers

from mmssl.registry import LAYERS


@LAYERS.register_module()
class LayerNorm2d(timm.layers.LayerNorm2d):
    """Layer norm over the channels of maps (N, C, H, W): ``norm_cfg=dict(type='mmssl.LayerNorm2d', eps=1e-6)``."""
