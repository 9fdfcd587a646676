"""tools/profiling/masked_step.py: prints and writes its figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tools import load_tool

mim_step = load_tool('profiling/masked_step.py')
CONFIG = Path(__file__).parents[2] / 'configs/mae/mae_vit-tiny_1xb512-400e_cifar10.py'


def _run(tmp_path: Path, *options: str) -> dict:
    out = tmp_path / 'new' / 'figures.json'
    mim_step.main([str(CONFIG), '--batch-size', '2', '--out', str(out), *options])
    return json.loads(out.read_text())


def test_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = _run(tmp_path, '--repeats', '1', '--no-compile', '--dtype', 'bfloat16')
    printed = capsys.readouterr().out
    assert figures['dtype'] == 'bfloat16' and figures['config'] == str(CONFIG)
    for name in (*figures['wall']['seconds'], 'step_over_plain_loop', 'step_over_unmasked'):
        assert name in printed
    assert 'compiled' not in printed


def test_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = _run(tmp_path, '--memory', '--reference-arch', 'small')
    assert figures['reference']['weights'] > figures['step']['weights'] > 0  # ViT-S beside the recipe's ViT-T
    printed = capsys.readouterr().out
    assert all(name in printed for name in ('weights', 'activations', 'total'))
