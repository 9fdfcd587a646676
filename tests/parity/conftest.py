"""What every comparison with a recording gets: memory that is kept, and fast convolutions of small maps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.support.batched_convolutions import conv2d
from tests.support.memory import give_memory_back, keep_freed_memory

MOST_KEPT = 4  # gigabytes: most files need no more, so that the next one can use them again

keep_freed_memory()


@pytest.fixture(autouse=True, scope='module')
def _memory_given_back() -> Iterator[None]:
    """In place of that of all tests: keeps what the next file needs as well."""
    yield
    give_memory_back(above=MOST_KEPT)


@pytest.fixture(autouse=True)
def _batched_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the function that ``torch.nn.Conv2d`` calls."""
    monkeypatch.setattr(torch.nn.functional, 'conv2d', conv2d)
