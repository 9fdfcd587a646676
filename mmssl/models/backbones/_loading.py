"""How backbones load checkpoints: loudly, and also those of a network that is deeper than they were built."""

from __future__ import annotations

from mmengine.registry import DefaultScope
from torch import nn


class LoudLoading(nn.Module):
    """Mixin before ``BaseModule``: an ``init_cfg`` of the type ``Pretrained`` is mmssl's, whoever builds the module."""

    def init_weights(self) -> None:
        """Initialises the weights in the scope ``mmssl``."""
        with DefaultScope.overwrite_default_scope('mmssl'):
            super().init_weights()


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
