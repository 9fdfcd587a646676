"""Relative location of patches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.layers.pooling import to_vector
from mmssl.models.layers.tiles import NEIGHBOURS, check_tiles, join_tiles, neighbour_pairs, split_mosaic
from mmssl.registry import ALGORITHMS

CENTRE = 4


@ALGORITHMS.register_module()
class RelativeLocation(BaseAlgorithm):
    """Context prediction: which neighbour of a patch is this? (Doersch et al., 2015, arXiv:1505.05192, section 3).

    A view is a mosaic of 3 x 3 tiles (``TileView``). With ``pairs='centre'``, as OpenSelfSup and mmselfsup do it, an
    image gives eight pairs (neighbour, centre), whose class is the place of the neighbour. The network encodes all
    neighbours, then the centres eight times each, so the two have batch statistics of their own. With ``pairs='all'``,
    as the authors do it, the network encodes each tile once, and an image gives all 40 ordered pairs of adjacent tiles,
    whose class is the place of the second tile as seen from the first. The class k of one rule is 7 - k of the other.

    The authors' loss is the sum over pairs, ours is the mean.

    Args:
        pairs: ``'centre'`` or ``'all'``.
        **slots: Arguments of ``BaseAlgorithm``; the neck is a ``TileNeck`` of two tiles, the head a ``LinearClsHead``
            of eight classes.

    Raises:
        ValueError: ``pairs`` is unknown, the number of classes of the head is not eight, or the neck does not take two
            tiles.
    """

    views = Views(1, kind='tiles', grid=3)
    batch_coupled = 'batch norm'

    def __init__(self, *, pairs: str = 'centre', **slots: Any) -> None:
        super().__init__(**slots)
        check_tiles(self.neck, 2, 'model.neck')
        if pairs not in ('centre', 'all'):
            raise ValueError(f"pairs must be 'centre' or 'all', got {pairs!r}")
        if self.head.num_classes != len(NEIGHBOURS):
            raise ValueError(f'model.head.num_classes must be {len(NEIGHBOURS)} places, got {self.head.num_classes}')
        self.pairs = pairs

    @staticmethod
    def shown_views(views: list[Tensor]) -> list[Tensor]:
        """Returns the mosaic with lines between its tiles."""
        return [join_tiles(split_mosaic(views[0]), gap=1)]

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean cross entropy over the pairs of one mosaic (N, 3, 3 S, 3 S), and the accuracy."""
        tiles = split_mosaic(views[0])  # (N, 9, 3, S, S)
        first, second, labels = self._of_centre(tiles) if self.pairs == 'centre' else self._of_all(tiles)
        labels = labels.repeat(len(tiles))  # (P,), the pairs of an image are adjacent
        logits = self.head.predict(self.neck(first, second))  # (P, 8)
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        return dict(loss=self.head.loss(logits, labels), location_accuracy=accuracy)

    def _of_centre(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the features (8 N, D) of neighbours and centres, and the classes of an image."""
        neighbours = torch.cat([tiles[:, :CENTRE], tiles[:, CENTRE + 1 :]], dim=1)  # (N, 8, 3, S, S)
        centres = tiles[:, CENTRE, None].expand_as(neighbours)
        first, second = (to_vector(self.backbone(x.flatten(0, 1))) for x in (neighbours, centres))
        return first, second, torch.arange(len(NEIGHBOURS), device=tiles.device)

    def _of_all(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the features (40 N, D) of the first and second tiles, and the classes of an image."""
        pairs, labels = (torch.tensor(x, device=tiles.device) for x in neighbour_pairs())
        features = to_vector(self.backbone(tiles.flatten(0, 1))).unflatten(0, (len(tiles), -1))  # (N, 9, D)
        first, second = (features[:, tile].flatten(0, 1) for tile in pairs.unbind(1))
        return first, second, labels
