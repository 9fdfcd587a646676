"""``--help`` answers at once, and a training imports no library that it does not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.tools import ROOT

_HELP = """
import runpy, sys, time
sys.argv = [{tool!r}, '--help']
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
except SystemExit as end:
    assert not end.code
assert 'torch' not in sys.modules and 'mmengine' not in sys.modules
print(time.process_time())
"""
_TRAINING = """
import sys
import mmssl.apis.train, mmssl.registry, mmssl.models
print(sorted(set(sys.modules) & {'sklearn', 'scipy.stats', 'matplotlib', 'mmcv', 'mmdet', 'mmseg', 'faiss'}))
"""


def last_line(code: str) -> str:
    run = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.strip().rpartition('\n')[2]


@pytest.mark.parametrize('tool', ['train', 'test', 'extract_features', 'predict', 'demo'])
def test_help_takes_less_than_a_second_and_a_half(tool: str) -> None:
    assert float(last_line(_HELP.format(tool=str(ROOT / 'tools' / f'{tool}.py')))) < 1.5


def test_training_imports_neither_figures_nor_scores() -> None:
    assert last_line(_TRAINING) == '[]'
