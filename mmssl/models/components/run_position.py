"""The position of an algorithm in its run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class RunPosition(nn.Module):
    """Number of steps done and their share of the run, as Python numbers that a checkpoint restores.

    An algorithm reads them without synchronising the device, and in a resumed run they continue from the checkpoint.

    Attributes:
        steps: Number of optimizer steps done.
        progress: ``steps`` / optimizer steps of the whole run, in [0, 1].
        count: ``steps`` as an int64 scalar on the device.
    """

    count: Tensor
    fraction: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('count', torch.zeros((), dtype=torch.int64))
        self.register_buffer('fraction', torch.zeros((), dtype=torch.float64))
        self.steps, self.progress = 0, 0.0

    def reset(self) -> None:
        """Resets the position to the start of the run."""
        self.count.zero_()
        self.fraction.zero_()
        self.steps, self.progress = 0, 0.0

    def advance(self, progress: float) -> None:
        """Counts a step; ``progress`` is the argument of ``on_step_end``."""
        self.count.add_(1)
        self.fraction.fill_(progress)
        self.steps, self.progress = self.steps + 1, progress

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.steps, self.progress = int(self.count), float(self.fraction)
