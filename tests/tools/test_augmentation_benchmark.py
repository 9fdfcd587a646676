"""The benchmark of the augmentation runs on the photographs that scikit-image carries."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.tools import load_tool

augmentation = load_tool('profiling/augmentation.py')


def test_figures_are_written(tmp_path: Path) -> None:
    results = augmentation.main(['--batch-size', '2', '--repeats', '1', '--out', str(tmp_path / 'figures.json')])
    assert json.loads((tmp_path / 'figures.json').read_text()) == results
    assert set(results) == {
        'decode_and_crop_pairs_per_second', 'batched_milliseconds_per_pair', 'pil_milliseconds_per_pair',
        'batched_over_pil',
    }  # fmt: skip
    assert min(results.values()) > 0
