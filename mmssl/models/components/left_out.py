"""Modules whose weights come from a file of their own and are not written to checkpoints."""

from __future__ import annotations

from typing import Any

from torch import nn


def leave_out_of_checkpoints(module: nn.Module) -> None:
    """Keeps the parameters of ``module`` out of state dicts, and as they are when one without them is loaded."""
    module._register_state_dict_hook(_remove)
    module.register_load_state_dict_post_hook(_do_not_miss)


def _remove(module: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
    for name, _ in module.named_parameters():
        state_dict.pop(prefix + name, None)


def _do_not_miss(module: nn.Module, keys: Any) -> None:
    """Takes the names of ``module`` from the missing ones: those below a prefix under which all of them are missing."""
    names = [name for name, _ in module.named_parameters()]
    missing = set(keys.missing_keys)
    prefixes = {key.removesuffix(names[0]) for key in missing if key.endswith(names[0])}
    own = {prefix + name for prefix in prefixes if missing >= {prefix + name for name in names} for name in names}
    keys.missing_keys[:] = [key for key in keys.missing_keys if key not in own]
