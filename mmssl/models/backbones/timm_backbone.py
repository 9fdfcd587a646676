"""Any model of timm as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import timm
from mmengine.model import BaseModule
from torch import Tensor

from mmssl.models.backbones._layers import OrderedLayers
from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class TimmBackbone(OrderedLayers, BaseModule):
    """A timm model without its classifier, held as ``model``: its parameters have timm's names after ``model.``.

    Args:
        name: A model of ``timm.list_models()``.
        out_indices: Feature levels whose maps are returned; None returns the pooled vector instead.
        pretrained: Load timm's published weights (a download).
        init_cfg: MMEngine's initialisation config.
        **kwargs: Passed on to ``timm.create_model``, ``img_size`` or ``drop_path_rate`` for instance.

    Raises:
        ValueError: timm has no model of this name.
    """

    # Elements of a list called blocks, as in transformers and ConvNeXt, or of a stage of a residual network.
    block_pattern = r'.*?\b(blocks|layer\d)\.\d+'

    def __init__(
        self,
        name: str,
        out_indices: Sequence[int] | None = None,
        pretrained: bool = False,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        if not timm.is_model(name):
            close = get_close_matches(name, timm.list_models(), n=3)
            raise ValueError(f'timm {timm.__version__} has no model {name!r}; similar names: {close}')
        self.out_indices = None if out_indices is None else tuple(out_indices)
        self.model: Any
        if self.out_indices is None:
            self.model = timm.create_model(name, pretrained=pretrained, num_classes=0, **kwargs)
            self.feature_dim = self.model.num_features
        else:
            self.model = timm.create_model(
                name, pretrained=pretrained, features_only=True, out_indices=self.out_indices, **kwargs
            )
            self.feature_dim = self.model.feature_info.channels()[-1]
        # Some timm models have an init_weights() of their own; MMEngine would call it and undo pretrained weights.
        self.model.is_init = True

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns the pooled vector (N, D), or one map (N, C_i, H_i, W_i) per entry of ``out_indices``.

        Args:
            images: (N, 3, H, W), normalised.
        """
        features = self.model(images)
        return features if self.out_indices is None else tuple(features)
