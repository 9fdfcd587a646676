"""tools/profiling/throughput.py: all figures are there and consistent, whatever they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tools import load_tool

throughput = load_tool('profiling/throughput.py')

Writer = Callable[..., Path]


def test_prints_and_writes_every_figure(
    write_config: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'figures.json'
    missing = ['--cfg-options', 'val_dataloader.dataset.data_root=missing']  # nothing is evaluated
    throughput.main([str(write_config()), '--iters', '2', '--repeats', '2', '--out', str(out), *missing])
    printed = capsys.readouterr().out
    assert all(name in printed for name, _ in throughput.LINES)
    figures = json.loads(out.read_text())
    rates = ('loader_per_worker', 'augmentation', 'model_step', 'end_to_end', 'step_overhead', 'augmentation_share')
    assert all(figures[name] > 0 for name in rates)
    assert 0 < figures['data_wait'] < 1 and figures['peak_memory'] > 2**20
    assert (figures['batch_size'], figures['num_workers']) == (4, 0)
    assert figures['end_to_end'] < min(figures['augmentation'], figures['loader_per_worker'])
