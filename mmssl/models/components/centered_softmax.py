"""Targets from a teacher's logits, centred and sharpened so that they do not collapse."""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.distributed.collectives import sum_over_processes
from mmssl.models.components.rising_temperature import RisingTemperature
from mmssl.models.losses.numerics import in_full_precision


@in_full_precision
def centered_softmax(logits: Tensor, center: Tensor, temperature: float | Tensor) -> Tensor:
    """Centring and sharpening, ``softmax((logits - center) / temperature)`` (DINO, arXiv:2104.14294, section 3.1).

    Args:
        logits: (N, C), the teacher's logits of C prototypes.
        center: (1, C), subtracted from the logits.
        temperature: Divisor of the centred logits, > 0.

    Returns:
        Probabilities (N, C); rows sum to 1.
    """
    return torch.softmax((logits - center) / temperature, dim=-1)


class CenteredSoftmax(RisingTemperature):
    """``centered_softmax`` with a moving center and a rising temperature (DINO, arXiv:2104.14294, Algorithm 1).

    ``center = m center + (1 - m) mean``, where mean is the mean over the rows of logits of all processes. Call
    ``stage`` with the logits while the loss is computed, and ``update`` after the optimizer step, which then changes
    the center.

    Args:
        dim: Number of prototypes C.
        center_momentum: Weight m of the OLD center, in [0, 1].
        temperature: Temperature after the warm-up, > 0.
        start_temperature: Temperature at the start of the run, > 0; None uses ``temperature``.
        warmup: Share of the run in which the temperature rises linearly, in [0, 1].

    Raises:
        ValueError: An argument is outside its range.
    """

    center: Tensor

    def __init__(
        self,
        dim: int,
        center_momentum: float = 0.9,
        temperature: float = 0.04,
        start_temperature: float | None = None,
        warmup: float = 0.0,
    ) -> None:
        super().__init__(temperature, start_temperature, warmup)
        if not 0 <= center_momentum <= 1:
            raise ValueError(f'center_momentum must lie in [0, 1], got {center_momentum}')
        self.center_momentum = center_momentum
        self.register_buffer('center', torch.zeros(1, dim))
        self._staged: list[Tensor] = []

    @torch.no_grad()
    def forward(self, logits: Tensor) -> Tensor:
        """Returns targets (N, C), rows sum to 1, for logits (N, C)."""
        return centered_softmax(logits, self.center, self.temperature())

    @torch.no_grad()
    def stage(self, logits: Tensor) -> None:
        """Keeps the sum of logits (N, C) for the next ``update``; N may be 0 and may differ between processes."""
        total = logits.sum(dim=0, keepdim=True, dtype=self.center.dtype)  # (1, C)
        self._staged.append(torch.cat([total, total.new_full((1, 1), len(logits))], dim=1))

    @torch.no_grad()
    def update(self, progress: float) -> None:
        """Moves the center towards the mean of the staged logits, and sets the position for the temperature.

        If no process has staged a row, the center stays.

        Args:
            progress: Optimizer steps done / optimizer steps of the whole run, in (0, 1].
        """
        super().update(progress)
        staged = sum_over_processes(torch.stack(self._staged).sum(dim=0))  # (1, C + 1), sum and number of rows
        self._staged.clear()
        total, count = staged[:, :-1], staged[:, -1:]
        mean = torch.where(count > 0, total / count.clamp(min=1), self.center)
        self.center.mul_(self.center_momentum).add_(mean, alpha=1 - self.center_momentum)
