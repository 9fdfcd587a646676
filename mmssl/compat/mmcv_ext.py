"""mmcv's operators without its compiled module, which most installations of mmcv lack.

1. ``load_config`` calls ``provide_mmcv_ops`` for a config that names mmdet or mmseg. ``sys.meta_path`` gets a finder.
2. MMEngine builds a model and imports mmdet or mmseg, which import ``mmcv.ops``.
3. ``mmcv.ops`` imports ``mmcv._ext``; Python asks ``_Finder``, which asks Python where the compiled module is.
4. ``_Loader`` loads the compiled module. If there is none, or it does not fit this torch, it makes a ``_StandIn``.
5. The ``_StandIn`` takes its operators from ``mmssl.compat.torchvision_ops``, which is imported only now.
6. A model calls an operator that torchvision lacks: the ``_StandIn`` raises ``MissingOperatorError``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any, NoReturn

from mmssl.compat.missing_operator import MissingOperatorError

MODULE = 'mmcv._ext'
PROVIDED = (
    'nms', 'softnms', 'roi_align_forward', 'roi_align_backward', 'roi_pool_forward', 'roi_pool_backward',
    'sigmoid_focal_loss_forward', 'sigmoid_focal_loss_backward', 'deform_conv_forward', 'deform_conv_backward_input',
    'deform_conv_backward_parameters', 'modulated_deform_conv_forward', 'modulated_deform_conv_backward',
    'get_compiler_version', 'get_compiling_cuda_version',
)  # fmt: skip


def provide_mmcv_ops() -> None:
    """Makes ``mmcv._ext`` importable: as the compiled module if it loads, else as a stand-in that uses torchvision.

    It imports nothing and does not replace an ``mmcv._ext`` that is already imported. A second call does nothing.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def is_stand_in(module: ModuleType) -> bool:
    """Returns whether ``module`` is the stand-in for the compiled module."""
    return isinstance(module, _StandIn)


class _StandIn(ModuleType):
    """A module with the functions of ``torchvision_ops``; any other function raises ``MissingOperatorError``."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args: Any, **kwargs: Any) -> NoReturn:
            raise MissingOperatorError(name)

        missing.__name__ = name
        return missing


class _Finder(MetaPathFinder):
    """Finds ``mmcv._ext`` and nothing else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns the spec of ``mmcv._ext``, None for any other module; ``path`` is the folder of mmcv."""
        if name != MODULE:
            return None
        compiled = PathFinder.find_spec(name, path)
        return ModuleSpec(name, _Loader(compiled), origin=compiled.origin if compiled else 'mmssl.compat.mmcv_ext')


class _Loader(Loader):
    """Loads the compiled module, or the stand-in if there is none or it does not fit this torch.

    Args:
        compiled: Spec of the compiled module, None if there is none.
    """

    def __init__(self, compiled: ModuleSpec | None) -> None:
        self.compiled = compiled

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Returns the module, ready for use."""
        if self.compiled is not None and self.compiled.loader is not None:
            try:
                module = module_from_spec(self.compiled)
                self.compiled.loader.exec_module(module)
                return module
            except ImportError as error:
                warnings.warn(
                    f'{self.compiled.origin} does not load, so operators of torchvision are used: {error}', stacklevel=2
                )
        from mmssl.compat import torchvision_ops

        stand_in = _StandIn(spec.name, 'Operators of torchvision under the names of mmcv.')
        stand_in.__dict__.update({name: getattr(torchvision_ops, name) for name in PROVIDED})
        return stand_in

    def exec_module(self, module: ModuleType) -> None:
        """Does nothing, because ``create_module`` has run the module."""
