"""Class folders with an image beside them give no labels, and a warning says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from mmssl.datasets import own_images
from mmssl.registry import METRICS
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


class NormOfPlugin:
    """A metric of a plugin without labels."""

    needs_labels = False


def test_metrics_that_need_no_labels_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS.module_dict, 'NormOfPlugin', NormOfPlugin)
    write_images(tmp_path, [f'{number}.png' for number in range(8)])
    metrics = [dict(type=name) for name in ('WeightedKNN', 'mmssl.EmbeddingStatistics', 'NormOfPlugin', 'Unknown')]
    dataset = dict(type='ImageFolder', data_root='')
    cfg = Config(dict(val_dataloader=dict(dataset=dataset), val_evaluator=dict(metrics=metrics)))
    own_images.use_images(cfg, tmp_path)
    assert [metric.type for metric in cfg.val_evaluator.metrics] == ['mmssl.EmbeddingStatistics', 'NormOfPlugin']


def test_datasets_around_others_are_kept_under_either_name(tmp_path: Path) -> None:
    write_images(tmp_path, ['a/0.png', 'b/1.png'])
    for scope in ('', 'mmssl.'):
        dataset = dict(type=f'{scope}RelabelledImages', dataset=dict(type='ImageFolder', data_root=''), noise=0.1)
        cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
        own_images.use_images(cfg, tmp_path)
        assert cfg.train_dataloader.dataset.noise == 0.1
        assert cfg.train_dataloader.dataset.dataset.type == 'ClassFolder'


@pytest.mark.parametrize('inside', [False, True])
def test_the_bands_of_any_dataset_decide_which_files_are_images(tmp_path: Path, inside: bool) -> None:
    for number in range(4):
        (tmp_path / f'{number}.npy').touch()
    images = dict(type='ImageFolder', data_root='', bands=5)
    if inside:
        cfg = Config(dict(train_dataloader=dict(dataset=dict(type='RelabelledImages', dataset=images, views=[]))))
    else:
        cfg = Config(dict(step=dict(type='ClusterFeatures', dataloader=dict(dataset=images))))
    assert len(own_images.use_images(cfg, tmp_path)) == 4
