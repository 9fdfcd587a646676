"""PIRL."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmssl.distributed.collectives import sum_over_processes, world_size
from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.memory_bank import MemoryBank
from mmssl.models.components.run_position import RunPosition
from mmssl.models.layers.indexed_noise import indexed_uniform
from mmssl.models.layers.pooling import to_vector
from mmssl.models.layers.tiles import check_tiles, split_mosaic
from mmssl.models.losses.memory_contrast_loss import memory_similarities
from mmssl.registry import ALGORITHMS, NECKS


@ALGORITHMS.register_module()
class PIRL(BaseAlgorithm):
    """Pretext-invariant representation learning (Misra and van der Maaten, 2020, arXiv:1912.01991, section 3).

    A memory bank holds the average of each image's embeddings. The embedding of the image and the embedding of its nine
    tiles in a random order must both match the row of the image and no other. The loss is ``(1 - share) NCE(image) +
    share NCE(tiles)`` with negatives of their own. The partition constant of the NCE is fixed at the first step, by the
    tiles, as in VISSL.

    Args:
        bank: Arguments of ``MemoryBank``: ``length``, the number of images of the training set, ``dim`` and
            ``momentum``.
        tile_neck: Config of a ``TileNeck`` of nine tiles, from the backbone's features to the embedding of the tiles.
        num_negatives: Number K of negatives per image and term, drawn uniformly at each step.
        share: Weight of the tiles' term, in [0, 1].
        **slots: Arguments of ``BaseAlgorithm``; the neck makes the embedding of the image, the head is a
            ``MemoryContrastLoss``.

    Raises:
        ValueError: ``share`` or ``num_negatives`` is outside its range, or the neck of the tiles does not take nine.
    """

    views = Views(2, any_size=True, kind=('image', 'tiles'), grid=3)
    needs_vectors = True
    batch_coupled = 'batch norm'
    partition: Tensor

    def __init__(
        self, *, bank: dict, tile_neck: dict, num_negatives: int = 32000, share: float = 0.5, **slots: Any
    ) -> None:
        super().__init__(**slots)
        if not 0 <= share <= 1:
            raise ValueError(f'share must lie in [0, 1], got {share}')
        if num_negatives < 1:
            raise ValueError(f'num_negatives must be at least 1, got {num_negatives}')
        self.tile_neck = NECKS.build(tile_neck)
        check_tiles(self.tile_neck, 9, 'model.tile_neck')
        self.bank, self.position = MemoryBank(**bank), RunPosition()
        self.num_negatives, self.share = num_negatives, share
        self.register_buffer('partition', torch.zeros(()))  # 0 until the first step is done
        self._first: Tensor | None = None

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the terms for a view (N, 3, H, W) and a mosaic of tiles (N, 3, 3 S, 3 S)."""
        assert data_samples is not None, 'the index of an image stands in data_samples'
        index, tiles = data_samples['index'], split_mosaic(views[1])
        order = indexed_uniform(index, (tiles.shape[1],), 3 * self.position.count).argsort(dim=1)  # (N, 9)
        tiles = torch.take_along_dim(tiles, order[:, :, None, None, None], dim=1)
        features = to_vector(self.backbone(tiles.flatten(0, 1))).unflatten(0, (len(tiles), -1))  # (N, 9, D)
        of_tiles, of_image = self.tile_neck(*features.unbind(1)), self.neck(self.backbone(views[0]))  # (N, D) each
        return self.contrast(of_tiles, of_image, index)

    def contrast(self, of_tiles: Tensor, of_image: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Returns the terms for the embeddings (N, D) of the tiles and of the images, whose rows are ``index`` (N,)."""
        terms = []
        for number, embeddings in enumerate((of_tiles, of_image), 1):
            negatives = self.bank.draw(index, self.num_negatives, 3 * self.position.count + number)  # (N, K)
            similarities = memory_similarities(embeddings, self.bank.features, index, negatives)  # (N, 1 + K)
            if self._first is None:
                self._first = self._partition(similarities.detach())
            terms.append(self.head(similarities, len(self.bank.features), self._first.to(similarities)))
        self.bank.stage(of_image, index)
        return dict(loss_tiles=self.share * terms[0], loss_image=(1 - self.share) * terms[1])

    def _partition(self, similarities: Tensor) -> Tensor:
        """Returns the constant: the stored one, or before the first step the mean of all processes, times L."""
        mean = torch.exp(similarities.to(self.partition.dtype) / self.head.temperature).mean()
        mean = sum_over_processes(mean) / world_size() * len(self.bank.features)
        return torch.where(self.partition > 0, self.partition, mean.to(self.partition))

    def on_train_start(self) -> None:
        """Resets position and partition constant, which may come from the checkpoint of another run."""
        self.position.reset()
        self.partition.zero_()
        self._first = None

    def on_step_end(self, progress: float) -> None:
        """Moves the rows of the step's images, fixes the partition constant, and counts the step."""
        self.bank.commit()
        if self._first is not None:
            self.partition.copy_(self._first)
        self.position.advance(progress)
