"""tools/profiling/clustering.py: prints and writes its figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tools import load_tool

clustering = load_tool('profiling/clustering.py')

SWAV = (
    ("type='SimCLR'", "type='SwAV', queue=dict(length=8)"),
    ("type='NTXentLoss', temperature=0.5", "type='PrototypeHead', in_channels=16, num_prototypes=5"),
)


@pytest.mark.parametrize(
    ('kind', 'options', 'tasks'),
    [
        ('features', ['--batches', '2'], ['plain', 'features', 'rows']),
        ('kmeans', ['--rows', '200', '--dim', '4', '--clusters', '5'], ['faiss', 'mmssl']),
        ('codes', ['--batch-size', '4', '--size', '16'], ['step', 'codes']),
    ],
)
def test_prints_and_writes_every_figure(
    write_config: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    options: list[str],
    tasks: list[str],
) -> None:
    if kind == 'kmeans':
        pytest.importorskip('faiss')
    config = [] if kind == 'kmeans' else [str(write_config(*SWAV))]
    out = tmp_path / 'figures.json'
    clustering.main([kind, *config, *options, '--repeats', '2', '--out', str(out)])
    printed, figures = capsys.readouterr().out, json.loads(out.read_text())
    assert list(figures['wall']['seconds']) == tasks and all(figures['processor']['ratio'].values())
    assert all(f'{name} / {tasks[0]}' in printed for name in tasks[1:])


def test_a_method_without_codes_is_named(write_config: Callable[..., Path], fails: Callable[..., str]) -> None:
    assert 'SimCLR computes no codes' in fails(clustering.main, 'codes', write_config(), '--batch-size', '2')
