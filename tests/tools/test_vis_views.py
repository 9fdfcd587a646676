"""tools/visualization/vis_views.py: the figure of a checkpoint, and the mistakes it reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from mmssl.registry import DATASETS
from mmssl.visualization.compared_views import compared_views_figure
from mmssl.visualization.style import figure_pixels
from tests.support.tools import load_tool
from tests.support.trained import save_trained

tool = load_tool('visualization/vis_views.py')

DENSECL = (
    ("type='SimCLR'", "type='DenseCL', queue=dict(length=8, dim=16), teacher=dict(momentum=0.9, schedule='constant')"),
    ("type='MLPProjector', in_channels=64", "type='DenseProjector', in_channels=64"),
    ("type='NTXentLoss', temperature=0.5", "type='QueueContrastLoss'"),
)


def test_the_figure_is_that_of_the_trained_model_and_its_training_images(
    write_config: Callable[..., Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, checkpoint, out = write_config(*DENSECL), tmp_path / 'epoch_1.pth', tmp_path / 'new' / 'x.png'
    model = save_trained(config, checkpoint, seed=4)
    tool.main([str(checkpoint), '--config', str(config), '--num-images', '3', '--epoch', '2', '--out', str(out)])
    assert capsys.readouterr().out.endswith(f'3 images: {out}\n')
    view = dict(type='AugmentedView', size=16)
    dataset = DATASETS.build(dict(type='ImageFolder', data_root=str(images), views=[view, view]))
    drawn = torch.from_numpy(imread(out)[..., :3]).mul(255).round().to(torch.uint8)
    expected = figure_pixels(compared_views_figure(model, dataset, [1, 4, 6], epoch=2))
    assert torch.equal(drawn, torch.from_numpy(expected))


def test_mistakes(write_config: Callable[..., Path], tmp_path: Path, fails: Callable[..., str]) -> None:
    config, checkpoint = write_config(), tmp_path / 'epoch_1.pth'
    save_trained(config, checkpoint)
    end = ['--config', config, '--out', tmp_path / 'x.png']
    assert 'SimCLR compares no places of two views' in fails(tool.main, checkpoint, *end)
    assert 'must be at least 1' in fails(tool.main, checkpoint, '--num-images', '0', *end)
