"""tools/visualization/vis_clusters.py and its figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from mmssl.visualization.clusters import choose_clusters, cluster_montage, size_histogram
from tests.engine.hooks.test_pseudo_labels import CHANGES, HOOK
from tests.support.tiny_run import build_runner, tiny_config
from tests.support.tools import load_tool

tool = load_tool('visualization/vis_clusters.py')


class Shades:
    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.full((3, 4, 4), 10 * index, dtype=torch.uint8))


def test_rows_show_images_of_their_cluster() -> None:
    labels = np.array([0, 2, 2, -1, 0, 2, 5])
    assert choose_clusters(labels, 9) == [2, 0, 5] and choose_clusters(labels, 1) == [0]
    cells = [axes for axes in cluster_montage(Shades(), labels, [2, 5], num_images=3).axes if axes.images]
    shown = [int(np.round(axes.images[0].get_array()[0, 0, 0] * 255)) for axes in cells]
    assert sorted(shown[:3]) == [10, 20, 50] and shown[3:] == [60, 255, 255]
    assert [cells[0].get_ylabel(), cells[3].get_ylabel()] == ['2: 3', '5: 1']
    axes = size_histogram(np.array([4, 0, 2, 2])).axes[0]
    assert axes.get_title(loc='left') == '4 clusters, 1 empty'
    assert sum(patch.get_height() for patch in axes.patches) == 4


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('run')
    build_runner(tiny_config(folder, **CHANGES, custom_hooks=[HOOK], max_epochs=1)).train()
    return folder / 'iter_6.pth'


def test_a_checkpoint_is_enough(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'clusters.png'
    tool.main([str(checkpoint), '--num-clusters', '3', '--num-images', '4', '--out', str(out)])
    assert imread(out).shape[1] > 100 and imread(tmp_path / 'clusters_sizes.png').shape[0] > 100
    assert capsys.readouterr().out.startswith(f'3 clusters of 5: {out} and ')


def test_mistakes(checkpoint: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    assert '--head 1: the checkpoint has 1 labellings' in fails(tool.main, checkpoint, '--head', '1')
    assert '--num-images 0: each must be at least 1' in fails(tool.main, checkpoint, '--num-images', '0')
    backbone = checkpoint.with_stem('iter_6_backbone')
    assert 'holds no labels' in fails(tool.main, backbone)
    other = tmp_path / 'other.py'
    other.write_text("custom_hooks = [dict(type='EMAHook')]")
    assert 'other.py has no PseudoLabelsHook' in fails(tool.main, checkpoint, '--config', other)
    assert 'does not exist' in fails(tool.main, tmp_path / 'no.pth')
