"""DINO's projection head, which turns features into logits of prototypes."""

from __future__ import annotations

from itertools import pairwise

from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrizations import weight_norm

from mmssl.models.layers.pooling import to_vector
from mmssl.registry import NECKS


@NECKS.register_module()
class DINOProjector(BaseModule):
    """MLP with GELU, normalisation to unit length, weight-normalised linear layer (DINO, arXiv:2104.14294, App. C).

    Logit c is ``gain_c * cos(bottleneck, direction_c)``. ``layers.<i>`` is entry i of the official ``mlp``; gain and
    direction are torch's ``last_layer.parametrizations.weight.original0`` and ``original1``. Initial weights of
    ``layers`` are truncated normal with standard deviation 0.02, biases 0, directions the default of ``nn.Linear``,
    gains 1.

    Args:
        in_channels: Width of the features.
        hidden_channels: Width of every layer but the last.
        out_channels: Number of prototypes C.
        bottleneck_channels: Width of the vector that is scaled to unit length.
        num_layers: Number of linear layers of the MLP.
        norm: Whether batch norm follows the hidden linear layers; not for patches.
        freeze_gain: Whether the gains stay 1; the official ``norm_last_layer``.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``num_layers`` is less than 1.

    Attributes:
        patch_channels: Number of prototypes of patches, which share their layer with whole images here.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        bottleneck_channels: int = 256,
        num_layers: int = 3,
        norm: bool = False,
        freeze_gain: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_layers < 1:
            raise ValueError(f'num_layers must be at least 1, got {num_layers}')
        self.out_channels = self.patch_channels = out_channels
        self.norm = norm
        layers: list[nn.Module] = []
        hidden = [in_channels, *[hidden_channels] * (num_layers - 1)]
        for inputs, outputs in pairwise(hidden):
            layers += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if norm else []), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], bottleneck_channels))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.last_layer = prototypes(bottleneck_channels, out_channels, freeze_gain)

    def forward(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns logits (N, out_channels) for the output of a backbone, or for vectors (N, in_channels)."""
        return self.last_layer(self.embed(to_vector(features)))

    def embed(self, features: Tensor) -> Tensor:
        """Returns vectors of unit length (N, bottleneck_channels) for vectors (N, in_channels)."""
        return normalize(self.layers(features), dim=-1)

    def embed_patches(self, features: Tensor) -> Tensor:
        """Returns vectors of unit length for patches, which share the MLP with whole images: see ``embed``.

        Raises:
            ValueError: The MLP has batch norms, whose statistics would depend on which patches are hidden.
        """
        if self.norm:
            raise ValueError('hidden patches cannot pass batch norms: set norm=False of the neck')
        return self.embed(features)

    def patch_logits(self, embedded: Tensor) -> Tensor:
        """Returns logits (P, patch_channels) for the results (P, bottleneck_channels) of ``embed_patches``."""
        return self.last_layer(embedded)


def prototypes(in_channels: int, out_channels: int, freeze_gain: bool) -> nn.Module:
    """Returns a weight-normalised linear layer without bias, with gains 1 that train unless ``freeze_gain`` is set."""
    layer = weight_norm(nn.Linear(in_channels, out_channels, bias=False))
    gain = layer.get_parameter('parametrizations.weight.original0')
    nn.init.ones_(gain).requires_grad_(not freeze_gain)
    return layer
