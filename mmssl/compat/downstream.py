"""What mmdet and mmseg need beside themselves, so that their models and configs can be used as they are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mmengine.config import config as mmengine_config
from mmengine.config.utils import MODULE2PACKAGE

from mmssl.compat.mmcv_ext import provide_mmcv_ops


def prepare_downstream() -> None:
    """Makes mmcv's operators importable and ``mmdet::``, ``mmseg::`` and ``mmssl::`` bases readable; imports none.

    MMEngine looks for the bases of mmseg under the name of the official distribution, does not know mmssl, and up to
    0.10.7 finds no package that is installed as editable, and none without a module that setuptools has dropped. Here
    packages are found as Python finds them.
    """
    provide_mmcv_ops()
    MODULE2PACKAGE.update(mmseg='mmseg', mmssl='mmssl')
    mmengine_config.is_installed = lambda package: find_spec(package) is not None
    mmengine_config.get_installed_path = _folder


def _folder(package: str) -> str:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed')
    return str(Path(spec.origin).parent)
