"""mmcv's operators without its compiled module.

``mmcv.ops``, which mmdet and mmseg import, wants ``mmcv._ext``, which most installations of mmcv have not.
``provide_mmcv_ops`` lets Python find a stand-in of that name, whose operators are torchvision's.
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
    """Makes ``mmcv._ext`` importable: the compiled module where it loads, else a stand-in that uses torchvision.

    Nothing is imported now, and an ``mmcv._ext`` that is imported already stays. A second call does nothing.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def is_stand_in(module: ModuleType) -> bool:
    """Whether ``module`` is what takes the place of the compiled one."""
    return isinstance(module, _StandIn)


class _StandIn(ModuleType):
    """The functions of ``torchvision_ops``, and for every other name one that raises ``MissingOperatorError``."""

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
        """The spec of the module, ``path`` being where mmcv lies."""
        if name != MODULE:
            return None
        compiled = PathFinder.find_spec(name, path)
        return ModuleSpec(name, _Loader(compiled), origin=compiled.origin if compiled else 'mmssl.compat.mmcv_ext')


class _Loader(Loader):
    """Loads the compiled module, or the stand-in where there is none or it does not fit this torch.

    Args:
        compiled: Where the compiled module is.
    """

    def __init__(self, compiled: ModuleSpec | None) -> None:
        self.compiled = compiled

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module, ready for use."""
        if self.compiled is not None and self.compiled.loader is not None:
            try:
                module = module_from_spec(self.compiled)
                self.compiled.loader.exec_module(module)
                return module
            except ImportError as error:
                warnings.warn(
                    f'{self.compiled.origin} does not load, operators of torchvision are used: {error}', stacklevel=2
                )
        from mmssl.compat import torchvision_ops

        stand_in = _StandIn(spec.name, 'Operators of torchvision under the names of mmcv.')
        stand_in.__dict__.update({name: getattr(torchvision_ops, name) for name in PROVIDED})
        return stand_in

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do."""
