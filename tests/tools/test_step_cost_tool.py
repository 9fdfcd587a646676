"""tools/profiling/step_cost.py: prints and writes its figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tools import load_tool

step_cost = load_tool('profiling/step_cost.py')


def test_prints_and_writes_every_figure(
    write_config: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'new' / 'figures.json'
    config = write_config()
    step_cost.main([str(config), '--batch-size', '2', '--size', '32', '--repeats', '1', '--out', str(out)])
    printed = capsys.readouterr().out
    figures = json.loads(out.read_text())
    assert figures['views'] == [32, 32] and figures['batch_size'] == 2 and figures['config'] == str(config)
    assert all(name in printed for name in figures['wall']['seconds'])
    assert 'step_over_parts' in printed and 'step_over_official_style' not in printed
