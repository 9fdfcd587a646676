"""What every comparison with a recording gets: memory that is kept, and fast convolutions of small maps."""

from __future__ import annotations

import pytest
import torch

from tests.support.batched_convolutions import conv2d
from tests.support.memory import keep_freed_memory

keep_freed_memory()


@pytest.fixture(autouse=True)
def _batched_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the function that ``torch.nn.Conv2d`` calls."""
    monkeypatch.setattr(torch.nn.functional, 'conv2d', conv2d)
