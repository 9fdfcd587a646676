"""Preparation for models and configs of mmdet and mmseg."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mmengine.config import config as mmengine_config
from mmengine.config.utils import MODULE2PACKAGE

from mmssl.compat.mmcv_ext import provide_mmcv_ops


def prepare_downstream() -> None:
    """Makes mmcv's operators importable, and bases ``mmdet::``, ``mmseg::`` and ``mmssl::`` readable, without imports.

    MMEngine searches the bases of mmseg under the name of the official distribution and does not know mmssl. Up to
    0.10.7 it does not find packages in editable mode, and needs a module that setuptools has removed. This function
    makes it find packages with ``importlib``. MMEngine also reads all hundred model cards of a package for every base,
    and then takes the path below ``.mim/configs``; this function makes it take that path at once.
    """
    provide_mmcv_ops()
    MODULE2PACKAGE.update(mmseg='mmseg', mmssl='mmssl')
    mmengine_config.is_installed = lambda package: find_spec(package) is not None
    mmengine_config.get_installed_path = _folder
    mmengine_config._get_external_cfg_path = mmengine_config._get_external_cfg_base_path


def _folder(package: str) -> str:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed')
    return str(Path(spec.origin).parent)
