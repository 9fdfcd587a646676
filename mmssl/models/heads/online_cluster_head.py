"""Clusters of patches that are learned while they are predicted, as in CAPI."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.models.layers.sinkhorn import sinkhorn
from mmssl.models.losses.cross_entropy_loss import smoothed_cross_entropy
from mmssl.models.losses.numerics import check_temperature
from mmssl.registry import HEADS

_LENGTH_EPS = 1e-7  # smallest length of a token
_SUM_EPS = 1e-8  # added to the sums of Sinkhorn's iteration


@HEADS.register_module()
class OnlineClusterHead(BaseModule):
    """Assigns the patches of a teacher to clusters, and compares predictions with the assignments (arXiv:2502.08769).

    With the token x of a patch, ``s = W x / |x| + b`` and Sinkhorn-Knopp over the images of all processes:

        a             = sinkhorn(s / target_temperature)                     no gradient
        loss_clusters = mean of -sum_c a_c log softmax(s / temperature)_c    over all patches; trains W and b alone
        loss          = mean of -sum_c a_c log softmax(z / temperature)_c    over predicted patches with logits z

    Positionwise, each position of the grid is a problem of its own, in which all clusters are used about equally. So no
    cluster stands for a place in the image.

    Args:
        in_channels: Width D of a token.
        num_clusters: Number C of clusters, also of the predictions.
        target_temperature: Temperature of the assignments, > 0.
        temperature: Temperature of both predictions, > 0.
        iterations: Number of iterations of Sinkhorn-Knopp, at least 1.
        positionwise: Whether each position is a problem of its own; if not, all patches of all images are one.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: A temperature is not positive, or ``iterations`` is less than 1.
    """

    def __init__(
        self,
        in_channels: int = 1024,
        num_clusters: int = 16384,
        target_temperature: float = 0.06,
        temperature: float = 0.12,
        iterations: int = 3,
        positionwise: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not target_temperature > 0:
            raise ValueError(f'target_temperature must be above 0, got {target_temperature}')
        check_temperature(temperature)
        if iterations < 1:
            raise ValueError(f'iterations must be at least 1, got {iterations}')
        self.target_temperature, self.temperature = target_temperature, temperature
        self.iterations, self.positionwise = iterations, positionwise
        self.clusters = nn.Linear(in_channels, num_clusters)
        nn.init.normal_(self.clusters.weight)
        nn.init.zeros_(self.clusters.bias)

    def assign(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Returns assignments (N, L, C), rows sum to 1, and ``loss_clusters``, for tokens (N, L, D) of a teacher."""
        logits = self.clusters(normalize(tokens, dim=-1, eps=_LENGTH_EPS))  # (N, L, C)
        scores = logits.detach().transpose(0, 1) if self.positionwise else logits.detach().flatten(0, 1)
        codes = sinkhorn(scores, self.target_temperature, self.iterations, eps=_SUM_EPS)
        codes = codes.transpose(0, 1) if self.positionwise else codes.unflatten(0, logits.shape[:2])
        return codes, self(logits, codes)

    def forward(self, logits: Tensor, assignments: Tensor) -> Tensor:
        """Returns the cross entropy, a scalar, of logits (N, P, C) and assignments (N, P, C)."""
        rows = logits.flatten(0, 1), assignments.flatten(0, 1)
        return smoothed_cross_entropy(*rows, temperature=self.temperature)

    @staticmethod
    def entropy(assignments: Tensor) -> Tensor:
        """Returns the mean entropy in nats, a scalar in [0, log C], of assignments (N, P, C)."""
        return torch.special.entr(assignments).sum(dim=-1).mean()
