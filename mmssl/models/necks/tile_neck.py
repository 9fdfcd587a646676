"""The neck of methods that compare the tiles of an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.pooling import to_vector
from mmssl.registry import NECKS


@NECKS.register_module()
class TileNeck(BaseModule):
    """Units for each tile, concatenation of the tiles of an image, and units for all of them together.

    A unit is a linear layer, optionally a batch norm, usually a ReLU, and optionally dropout. It is a dict with the key
    ``channels`` and optionally ``norm`` (``'affine'``, or ``'plain'`` without scale and offset), ``momentum`` (of the
    running statistics: weight of the new value, 0.1), ``relu`` (True) and ``dropout`` (rate, 0).

    | method | arguments |
    |---|---|
    | relative location (OpenSelfSup) | ``num_tiles=2, joint=[dict(channels=4096, norm='affine', momentum=.003,
      dropout=.5)]`` |
    | jigsaw (VISSL) | ``num_tiles=9, single=[dict(channels=1000, norm='affine')]`` |
    | PIRL (VISSL) | ``num_tiles=9, single=[dict(channels=128, relu=False)], joint=[dict(channels=128, relu=False)]`` |
    | ODC, which has one whole image as its tile | ``num_tiles=1, single=[dict(channels=512, norm='plain',
      momentum=.001, dropout=.5), dict(channels=256)]`` |
    | jigsaw (Noroozi and Favaro), after fc6 | ``num_tiles=9, joint=[dict(channels=4096, dropout=.5)]`` |

    Args:
        in_channels: Width D of the features of a tile.
        num_tiles: Number T of tiles that are compared.
        single: Units that every tile passes alone.
        joint: Units after the concatenation.
        init_std: Standard deviation of the initial weights, which are normal; None keeps torch's initialisation.
        init_bias: Initial value of the biases if ``init_std`` is given.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: The ``norm`` of a unit is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        num_tiles: int,
        single: Sequence[dict] = (),
        joint: Sequence[dict] = (),
        init_std: float | None = None,
        init_bias: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_tiles = num_tiles
        self.single, width = _units(in_channels, single)
        self.joint, self.out_channels = _units(num_tiles * width, joint)
        if init_std is not None:
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=init_std)
                    nn.init.constant_(module.bias, init_bias)

    def forward(self, *tiles: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns (N, C) for the outputs of a backbone, or vectors (N, D), of the T tiles of each image.

        Raises:
            TypeError: The number of arguments is not T.
        """
        if len(tiles) != self.num_tiles:
            raise TypeError(f'TileNeck takes the features of {self.num_tiles} tiles, got {len(tiles)}')
        vectors = torch.stack([to_vector(tile) for tile in tiles], dim=1)  # (N, T, D)
        vectors = self.single(vectors.flatten(0, 1)).unflatten(0, (-1, self.num_tiles))
        return self.joint(vectors.flatten(1))


def _units(width: int, units: Sequence[dict]) -> tuple[nn.Sequential, int]:
    """Builds units one after the other, and returns them and the width of the last."""
    modules = []
    for unit in units:
        modules.append(_unit(width, **unit))
        width = unit['channels']
    return nn.Sequential(*modules), width


def _unit(
    width: int,
    channels: int,
    norm: str | None = None,
    momentum: float = 0.1,
    relu: bool = True,
    dropout: float = 0.0,
) -> nn.Sequential:
    if norm not in (None, 'affine', 'plain'):
        raise ValueError(f"norm must be None, 'affine' or 'plain', got {norm!r}")
    unit = nn.Sequential()
    unit.add_module('fc', nn.Linear(width, channels))
    if norm is not None:
        unit.add_module('bn', nn.BatchNorm1d(channels, momentum=momentum, affine=norm == 'affine'))
    if relu:
        unit.add_module('relu', nn.ReLU(inplace=True))
    if dropout:
        unit.add_module('dropout', nn.Dropout(dropout))
    return unit
