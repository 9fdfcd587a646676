"""Prototypes to which images are assigned, and the loss of predicting the assignment."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import HEADS, LOSSES


@HEADS.register_module()
class PrototypeHead(BaseModule):
    """C prototypes of unit length; scores are cosine similarities, computed in full precision.

    Args:
        in_channels: Width D of an embedding.
        num_prototypes: Number of prototypes C.
        loss: Config of a loss that takes scores and codes.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self, in_channels: int, num_prototypes: int, loss: dict | None = None, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.prototypes = nn.Linear(in_channels, num_prototypes, bias=False)
        self.loss = LOSSES.build(loss or dict(type='ViewCrossEntropyLoss', temperature=0.1))

    @torch.no_grad()
    def normalize_prototypes(self) -> None:
        """Scales every prototype to unit length; called before the first step and after each step."""
        self.prototypes.weight.copy_(normalize(self.prototypes.weight, dim=1))

    def scores(self, embeddings: Tensor) -> Tensor:
        """Returns cosine similarities (..., C) to the prototypes for embeddings (..., D) of unit length.

        Raises:
            ValueError: The embeddings and the prototypes differ in width.
        """
        if embeddings.shape[-1] != self.prototypes.in_features:
            raise ValueError(
                f'prototypes of in_channels={self.prototypes.in_features} cannot score embeddings of width '
                f'{embeddings.shape[-1]}: model.head.in_channels must be the out_channels of model.neck'
            )
        return in_full_precision(linear)(embeddings, self.prototypes.weight)

    def forward(self, scores: Tensor, codes: Tensor) -> Tensor:
        """Returns the loss, a scalar, of scores (V, N, C) and codes (T, N, C)."""
        return self.loss(scores, codes)
