"""Two projections of one backbone: one of its last map, one of a map refined by attention."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor

from mmssl.models.necks.mlp_projector import MLPProjector
from mmssl.registry import NECKS


@NECKS.register_module()
class TwoStreamProjector(BaseModule):
    """C-stream and T-stream of CARE (Ge et al., 2021, arXiv:2110.05340); each pools a map and projects it.

    The C-stream takes the last of the backbone's maps. The T-stream takes the first and refines it by ``attention``. A
    ResNet with ``out_indices=(2, 3)`` gives the maps of the official code; ``(3,)`` applies the attention to the
    backbone's output, as the figure in the paper shows it. Both projectors are two linear layers with biases, the first
    with norm and ReLU.

    Args:
        in_channels: Channels of the backbone's last map.
        hidden_channels: Width of the hidden layer of both projectors.
        out_channels: Width of the embeddings.
        attention: Config of a neck that maps a feature map to a feature map and has the argument ``out_channels``, such
            as ``BottleneckAttention``.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        attention: dict,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.c_projector = MLPProjector(in_channels, hidden_channels, out_channels, bias=True, last_bias=True)
        self.attention = NECKS.build(attention)
        self.t_projector = MLPProjector(
            attention['out_channels'], hidden_channels, out_channels, bias=True, last_bias=True
        )

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Returns the embeddings (N, out_channels) of the C-stream and of the T-stream, not normalised."""
        return self.c_projector(maps[-1]), self.t_projector(self.attention(maps[0]))
