"""What mmdet and mmseg need beside themselves, so that their models and configs can be used as they are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mmengine.config import config as mmengine_config
from mmengine.config.utils import MODULE2PACKAGE

from mmssl.compat.mmcv_ext import provide_mmcv_ops


def prepare_downstream() -> None:
    """Makes mmcv's operators importable and ``mmdet::`` and ``mmseg::`` bases readable; imports neither.

    MMEngine looks for the bases of mmseg under the name of the official distribution, and up to 0.10.7 by a module
    that setuptools no longer has: then packages are found as Python finds them.
    """
    provide_mmcv_ops()
    MODULE2PACKAGE['mmseg'] = 'mmseg'
    if find_spec('pkg_resources') is None:
        mmengine_config.is_installed = lambda package: find_spec(package) is not None
        mmengine_config.get_installed_path = _folder


def _folder(package: str) -> str:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed')
    return str(Path(spec.origin).parent)
