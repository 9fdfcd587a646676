"""Modules whose weights come from a file of their own and are not written to checkpoints."""

from __future__ import annotations

from torch import nn


def leave_out_of_checkpoints(module: nn.Module) -> None:
    """Keeps the parameters of ``module`` out of state dicts, and as they are when one without them is loaded."""
    module._register_state_dict_hook(_remove)
    module.register_load_state_dict_pre_hook(_fill_in)


def _remove(module: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
    for name, _ in module.named_parameters():
        state_dict.pop(prefix + name, None)


def _fill_in(module: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
    for name, parameter in module.named_parameters():
        state_dict.setdefault(prefix + name, parameter.detach())
