"""Networks without random weights, for tests that load weights or never look at them."""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode

_DRAWS = ('normal_', 'uniform_', 'kaiming_uniform_')
_SHAPES = ('mul_', 'add_', 'clamp_')  # what a truncated normal is made with, after erfinv_ of what was drawn


class Undrawn(TorchFunctionMode):
    """Makes random weights 0 while networks are built; on the meta device nothing is computed for them.

    Large networks take longer to draw than a step of them takes to compute.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name = getattr(func, '__name__', '')
        if name in _DRAWS:
            tensor = args[0] if args else (kwargs or {})['tensor']
            return tensor if tensor.is_meta else tensor.detach().zero_()
        if name == 'erfinv_' or (name in _SHAPES and args[0].is_meta):
            return args[0]
        return func(*args, **(kwargs or {}))
