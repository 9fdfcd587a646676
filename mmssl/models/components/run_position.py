"""Where in its run an algorithm is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class RunPosition(nn.Module):
    """Steps done and their share of the run, as numbers of Python that a checkpoint restores.

    What an algorithm decides by them costs no look at the device, and a resumed run decides as the one that was
    stopped.

    Attributes:
        steps: Optimizer steps done.
        progress: ``steps`` / steps of the whole run, in [0, 1].
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
        """Goes back to the start."""
        self.count.zero_()
        self.fraction.zero_()
        self.steps, self.progress = 0, 0.0

    def advance(self, progress: float) -> None:
        """Counts a step; ``progress`` is what ``on_step_end`` is given."""
        self.count.add_(1)
        self.fraction.fill_(progress)
        self.steps, self.progress = self.steps + 1, progress

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.steps, self.progress = int(self.count), float(self.fraction)
