"""Hooks with which modules adapt a state dict before they load it, such as by resizing a position table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

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


def keep_rows_of_own_dataset(module: nn.Module, *names: str) -> None:
    """Makes ``module`` ignore loaded rows of another dataset, which has another number of images.

    Args:
        module: Module with one row per image of the training set in each of its tensors ``names``.
        *names: Names of these tensors; if one has another shape in the state dict, all keep their own values.
    """
    adapt_on_load(module, partial(_keep_rows, names))


def _keep_rows(names: Sequence[str], module: nn.Module, state: dict[str, Tensor], prefix: str, *others: object) -> None:
    own = {f'{prefix}{name}': getattr(module, name) for name in names}
    if any(name in state and state[name].shape != value.shape for name, value in own.items()):
        state.update(own)
