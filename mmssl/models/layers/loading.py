"""Hooks that change which tensors a module loads from a state dict or writes to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from torch import nn

from mmssl.checkpoints.adaptation import adapt_on_load


def leave_out_of_checkpoints(module: nn.Module) -> None:
    """Excludes the parameters of ``module`` from state dicts, and does not report them as missing on loading."""
    module._register_state_dict_hook(_remove)
    module.register_load_state_dict_post_hook(_do_not_miss)


def _remove(module: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
    for name, _ in module.named_parameters():
        state_dict.pop(prefix + name, None)


def _do_not_miss(module: nn.Module, keys: Any) -> None:
    """Removes the parameters of ``module`` from ``missing_keys``, for every prefix under which all are missing."""
    names = [name for name, _ in module.named_parameters()]
    missing = set(keys.missing_keys)
    prefixes = {key.removesuffix(names[0]) for key in missing if key.endswith(names[0])}
    own = {prefix + name for prefix in prefixes if missing >= {prefix + name for name in names} for name in names}
    keys.missing_keys[:] = [key for key in keys.missing_keys if key not in own]


class LoudLoading(BaseModule):
    """Base of backbones: ``init_cfg=dict(type='Pretrained')`` means mmssl's class in models of any library."""

    def init_weights(self) -> None:
        """Initialises the weights in the scope ``mmssl``."""
        with DefaultScope.overwrite_default_scope('mmssl'):
            super().init_weights()


def skip_on_load(module: nn.Module, *prefixes: str) -> None:
    """Makes ``module`` ignore tensors whose names begin with one of ``prefixes`` when it loads a state dict.

    Args:
        module: Module in which the parts with these names were deliberately not built.
        *prefixes: Beginnings of tensor names, relative to ``module``.
    """
    if prefixes:
        adapt_on_load(module, partial(_drop, prefixes))  # no inner function, which could not be pickled


def _drop(names: Sequence[str], module: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
    unwanted = tuple(prefix + name for name in names)
    for key in [key for key in state_dict if key.startswith(unwanted)]:
        del state_dict[key]
