"""tools/visualization/vis_tsne.py and vis_neighbors.py: what they write, and the mistakes they report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

from tests.support.tools import load_tool
from tests.support.trained import save_trained

tsne = load_tool('visualization/vis_tsne.py')
neighbors = load_tool('visualization/vis_neighbors.py')


@pytest.fixture
def checkpoints(write_config: Callable[..., Path], tmp_path: Path) -> list[str]:
    """Two checkpoints of one config, with different weights."""
    config, paths = write_config(), []
    for seed in (0, 1):
        paths.append(tmp_path / f'run_{seed}' / 'epoch_1.pth')
        paths[-1].parent.mkdir()
        save_trained(config, paths[-1], seed)
    return [str(path) for path in paths]


def test_map_per_checkpoint(checkpoints: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'tsne.png'
    tsne.main([checkpoints[0], '--compare', checkpoints[1], '--num-images', '6', '--out', str(out)])
    height, width = imread(out).shape[:2]
    assert 1.8 * height < width < 2.2 * height
    assert capsys.readouterr().out.endswith(f'6 of 8 images, 2 checkpoints: {out}\n')


def test_neighbours_per_checkpoint(checkpoints: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'neighbors.png'
    options = ['--num-queries', '2', '--k', '3', '--num-bank', '5', '--out', str(out)]
    neighbors.main([checkpoints[0], '--compare', checkpoints[1], *options])
    height, width = imread(out).shape[:2]
    assert width > 2.5 * height  # seven columns, two rows
    assert capsys.readouterr().out.endswith(f'2 queries, 5 images to compare with: {out}\n')


def test_mistakes(
    checkpoints: list[str], write_config: Callable[..., Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    end = ['--out', tmp_path / 'x.png']
    assert 'at least 4 images, got 3 of 8' in fails(tsne.main, checkpoints[0], '--num-images', '3', *end)
    assert '--num-images -3 and --num-classes 20' in fails(tsne.main, checkpoints[0], '--num-images', '-3', *end)
    assert '--num-images 1500 and --num-classes 0' in fails(tsne.main, checkpoints[0], '--num-classes', '0', *end)
    assert 'at least 0, such as 7' in fails(tsne.main, checkpoints[0], '--seed', '-1', *end)
    assert 'the config has no test images; it has val, bank' in fails(tsne.main, checkpoints[0], '--data', 'test', *end)
    assert '--k 0: each must be at least 1' in fails(neighbors.main, checkpoints[0], '--k', '0', *end)
    assert 'does not exist' in fails(neighbors.main, tmp_path / 'no.pth', *end)
    unevaluated = tmp_path / 'bare.pth'
    save_trained(write_config(('val_cfg = ', '_unused = ')), unevaluated)
    assert 'the config has no bank images; it has val' in fails(neighbors.main, unevaluated, *end)
    assert not (tmp_path / 'x.png').exists()
