"""Hooks with which modules adapt a state dict before they load it, such as by resizing a position table."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

_ADAPTERS = 'loading_adapters'


def adapt_on_load(module: nn.Module, adapter: Callable[..., None]) -> None:
    """Makes ``module`` call ``adapter`` before it loads a state dict, and in ``adapted``.

    Args:
        module: Module that needs the adaptation.
        adapter: Pre-hook of ``load_state_dict``, ``adapter(module, state_dict, prefix, *others)``, which changes
            ``state_dict`` in place. A second call must change nothing.
    """
    module.__dict__.setdefault(_ADAPTERS, []).append(adapter)
    module.register_load_state_dict_pre_hook(adapter)


def adapted(module: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors that ``module.load_state_dict(state)`` would load, with the changes of all adapters."""
    state = dict(state)
    for name, part in module.named_modules():
        for adapter in part.__dict__.get(_ADAPTERS, ()):
            adapter(part, state, f'{name}.' if name else '', {}, False, [], [], [])
    return state
