"""A teacher's logits as targets that neither collapse to one prototype nor to all of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmssl.distributed.collectives import sum_over_processes, world_size
from mmssl.models.losses.numerics import in_full_precision


@in_full_precision
def centered_softmax(logits: Tensor, center: Tensor, temperature: float | Tensor) -> Tensor:
    """Centring and sharpening, ``softmax((logits - center) / temperature)`` (DINO, arXiv:2104.14294, section 3.1).

    Args:
        logits: (N, C).
        center: (1, C).
        temperature: > 0.

    Returns:
        (N, C), rows sum to 1.
    """
    return torch.softmax((logits - center) / temperature, dim=-1)


class CenteredSoftmax(nn.Module):
    """``centered_softmax`` with a center that follows the teacher and a temperature that rises (Algorithm 1).

    Logits wait beside the state until the optimizer step that they belong to has happened: ``stage`` them while the
    loss is computed, ``update`` afterwards. ``center = m center + (1 - m) mean``, over the logits of all processes.

    Args:
        dim: Number of prototypes C.
        center_momentum: Weight m of the OLD center, in [0, 1].
        temperature: From the end of the warm-up on, > 0.
        start_temperature: At the start of the run, > 0; None takes ``temperature``.
        warmup: Share of the run in which the temperature rises linearly, in [0, 1].

    Raises:
        ValueError: An argument is outside its range.
    """

    center: Tensor
    progress: Tensor

    def __init__(
        self,
        dim: int,
        center_momentum: float = 0.9,
        temperature: float = 0.04,
        start_temperature: float | None = None,
        warmup: float = 0.0,
    ) -> None:
        super().__init__()
        start = temperature if start_temperature is None or not warmup else start_temperature
        if not (temperature > 0 and start > 0 and 0 <= warmup <= 1 and 0 <= center_momentum <= 1):
            raise ValueError(
                'CenteredSoftmax needs temperatures > 0, warmup and center_momentum in [0, 1], got '
                f'{temperature} and {start}, {warmup} and {center_momentum}'
            )
        self.center_momentum = center_momentum
        self.temperatures = (start, temperature)
        self.warmup = warmup or 1.0
        self.register_buffer('center', torch.zeros(1, dim))
        self.register_buffer('progress', torch.zeros(()))  # on the device: nothing waits for it
        self._staged: list[Tensor] = []

    def temperature(self) -> Tensor:
        """Returns the temperature at the current position in the run, a scalar."""
        start, end = self.temperatures
        return start + (end - start) * (self.progress / self.warmup).clamp(max=1)

    @torch.no_grad()
    def forward(self, logits: Tensor) -> Tensor:
        """Returns targets (N, C) of logits (N, C)."""
        return centered_softmax(logits, self.center, self.temperature())

    @torch.no_grad()
    def stage(self, logits: Tensor) -> None:
        """Keeps the mean of logits (N, C), the same number on every process, for the next ``update``."""
        self._staged.append(logits.mean(dim=0, keepdim=True, dtype=self.center.dtype))

    @torch.no_grad()
    def update(self, progress: float) -> None:
        """Moves the center towards what was staged, and the temperature on.

        Args:
            progress: Optimizer steps done / optimizer steps of the whole run, in (0, 1].
        """
        self.progress.fill_(progress)
        mean = sum_over_processes(torch.stack(self._staged).mean(dim=0)) / world_size()
        self.center.mul_(self.center_momentum).add_(mean, alpha=1 - self.center_momentum)
        self._staged.clear()
