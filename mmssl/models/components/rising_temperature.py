"""A temperature that rises during the first part of a run."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RisingTemperature(nn.Module):
    """Base of a teacher's targets: a temperature that rises linearly, then stays (DINO, arXiv:2104.14294, App. C).

    Args:
        temperature: Temperature after the warm-up, > 0.
        start_temperature: Temperature at the start of the run, > 0; None uses ``temperature``.
        warmup: Share of the run in which the temperature rises, in [0, 1].

    Raises:
        ValueError: An argument is outside its range.
    """

    progress: Tensor

    def __init__(self, temperature: float, start_temperature: float | None = None, warmup: float = 0.0) -> None:
        super().__init__()
        start = temperature if start_temperature is None or not warmup else start_temperature
        if not (temperature > 0 and start > 0 and 0 <= warmup <= 1):
            raise ValueError(
                f'{type(self).__name__} needs temperatures > 0 and warmup in [0, 1], got {temperature} and {start}, '
                f'{warmup}'
            )
        self.temperatures = (start, temperature)
        self.warmup = warmup or 1.0
        self.register_buffer('progress', torch.zeros(()))  # on the device, so reading it needs no synchronisation

    def temperature(self) -> Tensor:
        """Returns the temperature at the current position in the run, a scalar."""
        start, end = self.temperatures
        return start + (end - start) * (self.progress / self.warmup).clamp(max=1)

    def reset(self) -> None:
        """Sets the position to the start of the run, because loaded weights can bring that of another run."""
        self.progress.zero_()

    def update(self, progress: float) -> None:
        """Sets the position in the run.

        Args:
            progress: Optimizer steps done / optimizer steps of the whole run, in (0, 1].
        """
        self.progress.fill_(progress)
