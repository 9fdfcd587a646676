"""The stand-in for ``mmcv._ext``: when it is found, when not, and what it says of other operators."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.fresh_python import run_python
from tests.support.tools import ROOT

pytestmark = pytest.mark.skipif(find_spec('mmcv') is None, reason='needs mmcv')

_BEGIN = 'import sys, warnings; from mmssl.compat.mmcv_ext import *; '
_NO_COMPILED = (
    'import importlib.machinery as m; find = m.PathFinder.find_spec; '
    "m.PathFinder.find_spec = lambda name, *a: None if name == 'mmcv._ext' else find(name, *a); "
)


def python(code: str, path: Path | None = None) -> str:
    """The output of a Python that has imported nothing of mmcv."""
    finished = run_python('-c', code, env=dict(PYTHONPATH=f'{path or ROOT}:{ROOT}', PATH='/usr/bin:/bin'))
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def fake_mmcv(folder: Path, ext: str) -> Path:
    """A package mmcv whose compiled module is the text ``ext``."""
    (folder / 'mmcv').mkdir()
    (folder / 'mmcv' / '__init__.py').touch()
    (folder / 'mmcv' / '_ext.py').write_text(ext)
    return folder


def test_nothing_is_imported_until_mmcv_asks() -> None:
    code = f'{_BEGIN}{_NO_COMPILED}provide_mmcv_ops(); provide_mmcv_ops(); '
    modules = f'{code}print([name for name in sys.modules if name.split(".")[0] in ("mmcv", "torch")])'
    run = subprocess.run([sys.executable, '-c', modules], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == '[]\n', run.stderr
    code += (
        'print(sum(type(f).__name__ == "_Finder" for f in sys.meta_path))'
        "; from importlib.util import find_spec; spec = find_spec('mmcv._ext'); print(spec.name, spec.origin)"
        "; import mmcv._ext as e; print(is_stand_in(e), e.__spec__.name, find_spec('mmcv._ext') is e.__spec__)"
        '; from mmengine.utils.dl_utils.misc import mmcv_full_available; print(mmcv_full_available())'
        '; print(hasattr(e, "__path__"), hasattr(e, "carafe_forward"))'
    )  # fmt: skip
    assert python(code).splitlines() == [
        '1', 'mmcv._ext mmssl.compat.mmcv_ext', 'True mmcv._ext True', 'True', 'False True',
    ]  # fmt: skip


def test_an_operator_that_torchvision_has_not_is_named() -> None:
    code = _BEGIN + _NO_COMPILED + (
        'provide_mmcv_ops(); import torch; from mmcv.ops import carafe, nms_match\n'
        'for call in (lambda: carafe(torch.rand(1, 4, 4, 4), torch.rand(1, 25, 8, 8), 5, 1, 2),\n'
        '             lambda: nms_match(torch.rand(2, 5), 0.5)):\n'
        '    try: call()\n'
        '    except MissingOperatorError as error: print(error)'
    )  # fmt: skip
    first, second = python(code).splitlines()
    assert first.startswith('the model needs the operator carafe_forward of mmcv') and 'docs/start/install.md' in first
    assert second.startswith('the model needs the operator nms_match of mmcv')
    assert 'Compiled operators of mmcv' in (ROOT / 'docs' / 'start' / 'install.md').read_text()


def test_a_compiled_module_is_used(tmp_path: Path) -> None:
    path = fake_mmcv(tmp_path, "compiled = 'yes'")
    code = _BEGIN + 'provide_mmcv_ops(); import mmcv._ext as e; print(e.compiled, is_stand_in(e), e.__name__)'
    assert python(code, path) == 'yes False mmcv._ext'


def test_a_module_that_is_imported_already_stays(tmp_path: Path) -> None:
    path = fake_mmcv(tmp_path, '')
    code = (
        'import mmcv._ext as first; from mmssl.compat.mmcv_ext import *; provide_mmcv_ops(); '
        'import mmcv._ext as second; print(first is second, is_stand_in(second))'
    )
    assert python(code, path) == 'True False'


def test_a_compiled_module_that_does_not_load_is_reported(tmp_path: Path) -> None:
    path = fake_mmcv(tmp_path, "raise ImportError('undefined symbol: _ZN2at')")
    code = _BEGIN + (
        "warnings.simplefilter('always')\nwith warnings.catch_warnings(record=True) as w:\n"
        '    provide_mmcv_ops(); import mmcv._ext as e\n'
        "print(is_stand_in(e), callable(e.nms)); print(*{str(x.message) for x in w if 'torchvision' in str(x.message)})"
    )
    first, second = python(code, path).splitlines()
    assert first == 'True True'
    assert 'does not load' in second and 'undefined symbol: _ZN2at' in second
