"""How modules change a state dict to fit them before it is loaded, such as by resizing a table of positions."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

_ADAPTERS = 'loading_adapters'


def adapt_on_load(module: nn.Module, adapter: Callable[..., None]) -> None:
    """Makes ``module`` call ``adapter`` before a state dict is loaded, and when ``adapted`` asks for it.

    Args:
        module: The module.
        adapter: A load-state-dict pre-hook of torch, ``adapter(module, state_dict, prefix, *others)``, which changes
            ``state_dict`` in place. A second call must change nothing more.
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
