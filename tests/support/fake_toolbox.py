"""A stand-in for a toolbox beside mmssl, importable by the process in which it is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def build(cfg: Any, views: Sequence[Tensor]) -> Callable[[Sequence[Tensor]], Any]:
    """Returns a step of one operator for each view, which accepts the views given or those of ``build_load``."""
    shape = views[0].shape

    def train(given: Sequence[Tensor]) -> None:
        assert len(given) == 2 and given[0].shape == shape
        for view in given:
            view + 0

    return train


def build_load(folder: str, specs: Sequence[dict], batch_size: int, device: torch.device) -> Callable[[], list[Tensor]]:
    """Returns a function that makes views of the sizes of a recipe."""
    assert folder
    return lambda: [torch.ones(batch_size, 3, spec['size'], spec['size'], device=device) for spec in specs]
