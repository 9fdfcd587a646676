"""tools/visualization/browse_dataset.py: a picture with a column per image and a row per view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

from tests.support.tools import load_tool

browse = load_tool('visualization/browse_dataset.py')

Writer = Callable[..., Path]


def test_writes_a_grid(write_config: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'new' / 'views.png'
    browse.main([str(write_config()), '--out', str(out), '--num-images', '5'])
    height, width = imread(out).shape[:2]
    assert width > 1.5 * height  # five columns and labels, three rows
    assert capsys.readouterr().out.startswith('5 of 8 images')


@pytest.mark.parametrize('option', [['--num-images', '0'], ['--epoch', '-1']])
def test_needs_an_image_of_an_epoch(option: list[str], write_config: Writer, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        browse.main([str(write_config()), *option])
    assert f'{" ".join(option)} ' in capsys.readouterr().err


def test_needs_no_images_for_the_evaluation(write_config: Writer, tmp_path: Path) -> None:
    """With an ImageNet recipe and a folder of your own, the ImageNet of its validation is missing."""
    out = tmp_path / 'views.png'
    config = str(write_config())
    missing = ['val_dataloader.dataset.data_root=missing', 'val_cfg.bank_dataloader.dataset.data_root=missing']
    browse.main([config, '--out', str(out), '--num-images', '2', '--cfg-options', *missing])
    assert out.exists()


def test_a_training_set_of_another_library(write_config: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        browse.main([str(write_config(append="default_scope = 'mmseg'"))])
    assert 'a training set of mmseg has no views: give a config of a pre-training' in capsys.readouterr().err
