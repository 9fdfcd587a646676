"""tools/profiling/detection_memory.py: windows bound the memory of a large image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tools import load_tool

detection_memory = load_tool('profiling/detection_memory.py')


def test_prints_and_writes_every_variant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'new' / 'figures.json'
    detection_memory.main(['--arch', 'tiny', '--sizes', '1024', '--out', str(out)])
    figures = json.loads(out.read_text())['sizes']['1024']
    printed = capsys.readouterr().out
    assert len(figures) == 7 and all(name in printed for name in figures)
    kept = {name: figure['kept'] for name, figure in figures.items()}
    assert kept['windows alone, attention as a matrix'] < kept['every block global, attention as a matrix'] / 3
    assert kept['4 global blocks'] < kept['4 global blocks, attention as a matrix'] / 2
    assert all(figure['peak'] is None for figure in figures.values())
