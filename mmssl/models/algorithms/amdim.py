"""AMDIM."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.run_position import RunPosition
from mmssl.models.layers.indexed_noise import indexed_uniform
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class AMDIM(BaseAlgorithm):
    """Augmented multi-scale deep InfoMax (Bachman et al., 2019, arXiv:1906.00910, section 3).

    The vector of one view must recognise the 5 x 5 and the 7 x 7 map of the other among the maps of other images, and
    so must one random position of the 5 x 5 map the other 5 x 5 map. Each of the three terms is the mean of both
    directions. The views are encoded one after the other, so each has its own norm statistics. The position depends on
    the image and on the number of steps done, not on the process.

    Args:
        **slots: Arguments of ``BaseAlgorithm``; the backbone is an ``AMDIMEncoder``, the neck an ``AMDIMProjector``,
            the head a ``LocalInfoLoss``.
    """

    views = Views(2)
    batch_coupled = 'in-batch negatives'

    def __init__(self, **slots: Any) -> None:
        super().__init__(**slots)
        self.position = RunPosition()

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the terms of two views (N, 3, S, S)."""
        assert data_samples is not None, 'the index of an image stands in data_samples'
        encoded = [self.neck(self.backbone(x)) for x in views]  # maps 7 x 7 and 5 x 5, and vector, of each view
        places = self.places(data_samples['index'])  # (N, 2)
        losses = dict.fromkeys(('loss_1_5', 'loss_1_7', 'loss_5_5'), encoded[0][2].new_zeros(()))
        for (source, target), place in zip(itertools.permutations(encoded), places.unbind(1)):
            _, five, vector = source
            local = torch.take_along_dim(five.flatten(2), place[:, None, None], dim=2)[..., 0]  # (N, D)
            losses['loss_1_5'] = losses['loss_1_5'] + self.head(vector, target[1]) / 2
            losses['loss_1_7'] = losses['loss_1_7'] + self.head(vector, target[0]) / 2
            losses['loss_5_5'] = losses['loss_5_5'] + self.head(local, target[1]) / 2
        return losses

    def places(self, index: Tensor) -> Tensor:
        """Returns a random position of the 5 x 5 map for both views of each image, (N, 2) int64."""
        return (indexed_uniform(index, (2,), self.position.count) * 25).long()

    def on_train_start(self) -> None:
        """Resets the position in the run, which may come from the checkpoint of another run."""
        self.position.reset()

    def on_step_end(self, progress: float) -> None:
        """Counts the step, which draws other positions for the next one."""
        self.position.advance(progress)
