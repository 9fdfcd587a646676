"""tools/profiling/loading.py: a row for every way of decoding, and no difference for decoded copies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.support.image_files import encode
from tests.support.tools import load_tool

loading = load_tool('profiling/loading.py')


def test_every_way_has_a_row(tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    (tmp_path / 'images' / '0.jpg').write_bytes(encode(pixels, '.jpg'))
    out = tmp_path / 'figures.json'
    loading.main([str(tmp_path / 'images'), '--repeats', '2', '--out', str(out)])
    figures = json.loads(out.read_text())
    assert len(figures) == 8
    for name, row in figures.items():
        is_exact = name.endswith(('whole', 'decoded'))
        assert row['milliseconds'] > 0 and (row['share'] == 0 if is_exact else row['share'] <= 1)
