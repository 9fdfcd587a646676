"""Loading a checkpoint of a whole network into a backbone that was built only as deep as its outputs need."""

from __future__ import annotations

from torch import nn


def skip_on_load(module: nn.Module, *prefixes: str) -> None:
    """Makes ``module`` pass over tensors whose names begin with one of ``prefixes`` when a state dict is loaded.

    Args:
        module: The module whose parts of these names were deliberately not built.
        prefixes: Beginnings of names, relative to ``module``.
    """
    if not prefixes:
        return

    def drop(module: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
        unwanted = tuple(prefix + name for name in prefixes)
        for key in [key for key in state_dict if key.startswith(unwanted)]:
            del state_dict[key]

    module.register_load_state_dict_pre_hook(drop)
