"""Hooks that change which tensors a module loads from a state dict or writes to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from torch import nn

from mmssl.checkpoints.adaptation import adapt_on_load


def leave_out_of_checkpoints(module: nn.Module, *prefixes: str) -> None:
    """Excludes tensors of ``module`` from state dicts, and does not report them as missing on loading.

    Args:
        module: Module whose weights come from another file.
        *prefixes: Beginnings of the names of these tensors, relative to ``module``; none means all.
    """
    module._register_state_dict_hook(partial(_remove, prefixes))
    module.register_load_state_dict_post_hook(partial(_do_not_miss, prefixes))


def _left_out(prefixes: tuple[str, ...], module: nn.Module) -> list[str]:
    """Returns the names of the parameters and buffers that begin with one of ``prefixes``, all if there is none."""
    names = [name for tensors in (module.named_parameters(), module.named_buffers()) for name, _ in tensors]
    return [name for name in names if name.startswith(prefixes or '')]


def _remove(prefixes: tuple[str, ...], module: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
    for name in _left_out(prefixes, module):
        state_dict.pop(prefix + name, None)


def _do_not_miss(prefixes: tuple[str, ...], module: nn.Module, keys: Any) -> None:
    """Removes what is left out from ``missing_keys``, for every prefix under which all parameters are missing."""
    names = _left_out(prefixes, module)
    if not names:
        return
    trained = [name for name, _ in module.named_parameters() if name in names]
    missing = set(keys.missing_keys)
    starts = {key.removesuffix(names[0]) for key in missing if key.endswith(names[0])}
    own = {start + name for start in starts if missing >= {start + name for name in trained} for name in names}
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
        module: Module whose parts with these names were deliberately not built, or get their weights from another
            file.
        *prefixes: Beginnings of tensor names, relative to ``module``.
    """
    if prefixes:
        adapt_on_load(module, partial(_drop, prefixes))  # no inner function, which could not be pickled


def _drop(names: Sequence[str], module: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
    unwanted = tuple(prefix + name for name in names)
    for key in [key for key in state_dict if key.startswith(unwanted)]:
        del state_dict[key]
