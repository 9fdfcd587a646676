"""Class folders with an image beside them give no labels, and a warning says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from mmssl.datasets import own_images
from tests.support.image_files import write_images


def test_an_image_beside_class_folders_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(own_images, 'print_log', lambda text, **options: said.append(text))
    write_images(tmp_path, ['cat/0.png', 'dog/0.png'])
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='ImageFolder', data_root=''))))
    own_images.use_images(cfg, tmp_path)
    assert cfg.train_dataloader.dataset.type == 'ClassFolder' and not said
    write_images(tmp_path, ['stray.png'])
    own_images.use_images(cfg, tmp_path)
    assert cfg.train_dataloader.dataset.type == 'ImageFolder'
    assert 'holds 2 folders and 1 images beside them, such as stray.png' in said[0]
