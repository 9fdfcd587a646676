"""A backbone that prepares its own input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.registry import BACKBONES, COMPONENTS


@BACKBONES.register_module()
class AdaptedInput(BaseModule):
    """``network(step_n(...step_1(images)))``: a backbone after operations on its input images.

    The preparation of the input thereby belongs to the network: networks with different normalisations, sizes or
    channels take the same images, and gradients with respect to these images, also in attacks, are comparable.

    Args:
        network: Config of the backbone.
        steps: Configs of the operations, such as ``dict(type='PerImageNorm')`` and ``dict(type='FitImages', size=64)``.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, network: dict, steps: Sequence[dict] = (), init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.steps = nn.Sequential(*(COMPONENTS.build(step) for step in steps))
        self.network = BACKBONES.build(network)
        self.feature_dim = getattr(self.network, 'feature_dim', None)
        self.num_prefix_tokens = getattr(self.network, 'num_prefix_tokens', None)

    def forward(self, images: Tensor, **kwargs: Any) -> Any:
        """Returns the output of the network for the prepared images; images are (N, 3, H, W)."""
        return self.network(self.steps(images), **kwargs)

    def layers_to_output(self) -> dict[str, int]:
        """Returns the distance of every parameter from the output, see ``OrderedLayers``."""
        return {f'network.{name}': distance for name, distance in self.network.layers_to_output().items()}

    def no_weight_decay(self) -> set[str]:
        """Returns the names of parameters without weight decay, see ``OrderedLayers``."""
        return {f'network.{name}' for name in self.network.no_weight_decay()}
