"""Images from files: the central square, and files that cannot be shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmssl.utils.errors import UserError
from mmssl.visualization.squares import read_squares


def test_central_squares(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    Image.new('RGB', (4, 4), (10, 20, 30)).save(tmp_path / 'b.png')
    first, second = read_squares([str(tmp_path / 'a.png'), str(tmp_path / 'b.png')], 8)
    assert torch.equal(first, torch.from_numpy(pixels[:, 2:10]).permute(2, 0, 1))
    assert second.flatten(1).unique(dim=1).flatten().tolist() == [10, 20, 30]


def test_files_with_bands_are_read_as_the_config_reads_them(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 4096, (8, 12, 5), dtype=np.uint16)
    np.save(tmp_path / 'a.npy', samples)
    cfg = Config(dict(train_dataloader=dict(dataset=dict(bands=[4, 0], value_range=(0, 4095)))))
    (square,) = read_squares([str(tmp_path / 'a.npy')], 8, cfg)
    expected = np.round(samples[:, 2:10, [4, 0]] * (65535 / 4095)).astype(np.uint16)
    assert torch.equal(square.int(), torch.from_numpy(expected.astype(np.int32)).permute(2, 0, 1))


def test_grey_files_have_the_range_of_the_config(tmp_path: Path) -> None:
    samples = np.array([[0, 4095], [2048, 1024]], np.uint16)  # 12 bits, nearly black in 16
    Image.fromarray(samples).save(tmp_path / 'a.png')
    cfg = Config(dict(val_dataloader=dict(dataset=dict(value_range=(0, 4095)))))
    (square,) = read_squares([str(tmp_path / 'a.png')], 2, cfg)
    assert square.tolist() == [[[0, 255], [128, 64]]] * 3


@pytest.mark.parametrize(
    ('name', 'size', 'message'),
    [
        ('none.png', 8, 'is not a file'),
        ('.', 8, 'is not a file'),
        ('text.png', 8, 'cannot be shown'),
        ('a', 0, 'got 0'),
    ],
)
def test_mistakes(name: str, size: int, message: str, tmp_path: Path) -> None:
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(UserError, match=message):
        read_squares([str(tmp_path / name)], size)
