"""Jigsaw puzzles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.run_position import RunPosition
from mmssl.models.layers.indexed_noise import indexed_uniform
from mmssl.models.layers.permutations import jigsaw_permutations
from mmssl.models.layers.pooling import to_vector
from mmssl.models.layers.tiles import check_tiles, join_tiles, split_mosaic
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class Jigsaw(BaseAlgorithm):
    """Jigsaw puzzles: in which of P orders are the tiles? (Noroozi and Favaro, 2016, arXiv:1603.09246, section 3).

    A view is a mosaic of 3 x 3 tiles (``TileView``). Every step draws a permutation for each image, puts tile
    ``permutation[j]`` at position j, encodes each tile, and classifies the permutation from the nine features together.
    The permutation depends on the image and on the number of steps done, not on the process.

    Args:
        num_permutations: Number P of permutations: 100 and 701 are the published sets, see ``jigsaw_permutations``.
        **slots: Arguments of ``BaseAlgorithm``; the neck is a ``TileNeck`` of nine tiles, the head a ``LinearClsHead``
            of P classes.

    Raises:
        ValueError: The number of classes of the head is not P, or the neck does not take nine tiles.
    """

    views = Views(1, kind='tiles', grid=3)
    batch_coupled = 'batch norm'
    permutations: Tensor

    def __init__(self, *, num_permutations: int = 100, **slots: Any) -> None:
        super().__init__(**slots)
        check_tiles(self.neck, 9, 'model.neck')
        if self.head.num_classes != num_permutations:
            raise ValueError(
                f'model.head.num_classes={self.head.num_classes} must be model.num_permutations={num_permutations}'
            )
        table = torch.tensor(jigsaw_permutations(num_permutations))
        self.register_buffer('permutations', table, persistent=False)
        self.position = RunPosition()

    @staticmethod
    def shown_views(views: list[Tensor]) -> list[Tensor]:
        """Returns the mosaic with lines between its tiles, in their order and in that of the first of 100 puzzles."""
        tiles = split_mosaic(views[0])
        puzzle = tiles[:, jigsaw_permutations(100)[0].tolist()]
        return [join_tiles(tiles, gap=1), join_tiles(puzzle, gap=1)]

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean cross entropy for one mosaic (N, 3, 3 S, 3 S), and the accuracy."""
        assert data_samples is not None, 'the index of an image stands in data_samples'
        drawn = indexed_uniform(data_samples['index'], (1,), self.position.count)[:, 0]
        labels = (drawn * len(self.permutations)).long()  # (N,)
        tiles = split_mosaic(views[0])  # (N, 9, 3, S, S)
        order = self.permutations[labels]  # (N, 9)
        puzzles = torch.take_along_dim(tiles, order[:, :, None, None, None], dim=1)
        features = to_vector(self.backbone(puzzles.flatten(0, 1))).unflatten(0, (len(tiles), -1))  # (N, 9, D)
        logits = self.head.predict(self.neck(*features.unbind(1)))  # (N, P)
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        return dict(loss=self.head.loss(logits, labels), permutation_accuracy=accuracy)

    def on_train_start(self) -> None:
        """Resets the position in the run, which may come from the checkpoint of another run."""
        self.position.reset()

    def on_step_end(self, progress: float) -> None:
        """Counts the step, which draws other permutations for the next one."""
        self.position.advance(progress)
