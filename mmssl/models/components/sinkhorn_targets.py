"""Targets from a teacher's logits that use all prototypes about equally."""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.models.components.rising_temperature import RisingTemperature
from mmssl.models.layers.sinkhorn import sinkhorn


class SinkhornTargets(RisingTemperature):
    """Sinkhorn-Knopp targets over the rows of all processes, as in DINOv2 (arXiv:2304.07193, section 4).

    It takes the place of ``CenteredSoftmax`` and keeps no state but the position in the run. The number of rows may
    differ between processes.

    Args:
        temperature: Temperature after the warm-up, > 0; the weight of the entropy.
        start_temperature: Temperature at the start of the run, > 0; None uses ``temperature``.
        warmup: Share of the run in which the temperature rises linearly, in [0, 1].
        iterations: Number of iterations, at least 1.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        temperature: float = 0.04,
        start_temperature: float | None = None,
        warmup: float = 0.0,
        iterations: int = 3,
    ) -> None:
        super().__init__(temperature, start_temperature, warmup)
        if iterations < 1:
            raise ValueError(f'iterations must be at least 1, got {iterations}')
        self.iterations = iterations

    @torch.no_grad()
    def forward(self, logits: Tensor) -> Tensor:
        """Returns targets (N, C), rows sum to 1, for logits (N, C)."""
        return sinkhorn(logits, self.temperature(), self.iterations)

    def stage(self, logits: Tensor) -> None:
        """Does nothing: these targets do not depend on earlier batches."""
