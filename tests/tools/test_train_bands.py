"""tools/train.py on images with bands, from measured statistics and weights of RGB images."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import mmssl
from mmssl.models.backbones.resnet import ResNet
from mmssl.utils.errors import UserError
from tests.support.tools import load_tool
from tests.test_configs import ROOT

train, measure, extract = map(load_tool, ('train.py', 'misc/measure_images.py', 'extract_features.py'))

_PREPROCESSOR = "data_preprocessor=dict(type='SelfSupDataPreprocessor')"
_BACKBONE = "stem='small', width=0.125)"


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of five bands with 12 bits."""
    folder = tmp_path_factory.mktemp('scenes')
    for index in range(12):
        np.save(folder / f'{index}.npy', np.random.default_rng(index).integers(0, 4096, (24, 24, 5)).astype(np.uint16))
    return folder


def test_a_run_on_bands_begins_with_adapted_weights(
    write_config: Callable[..., Path],
    images: Path,
    scenes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / 'scenes.json'
    measure.main([str(scenes), '--bands', '5', '--out', str(file)])
    assert '"images": 12' in capsys.readouterr().out
    torch.save(ResNet(depth=18, stem='small', width=0.125).state_dict(), tmp_path / 'rgb.pth')
    config = write_config(
        (_PREPROCESSOR, f"{_PREPROCESSOR[:-1]}, statistics='{file}')"),
        (_BACKBONE, _BACKBONE.replace(')', ', in_channels=5)')),
        (f"data_root='{images}'", f"data_root='{scenes}', bands=5, value_range='{file}'"),
    )
    run = tmp_path / 'run'
    options = ['--work-dir', str(run), '--pretrained', str(tmp_path / 'rgb.pth'), '--cfg-options', 'max_epochs=1']
    train.main([str(config), *options])
    log = ''.join(path.read_text() for path in run.glob('*/*.log'))
    assert 'conv1: the weights for 3 channels became weights for 5' in log
    weight = torch.load(run / 'epoch_1_backbone.pth')['state_dict']['conv1.weight']
    assert weight.shape[1] == 5 and torch.equal(weight[:, 3], weight[:, 0])  # the backbone waited for the head
    found = [str(config), str(run / 'epoch_1_backbone.pth'), '--out', str(tmp_path / 'x.npy'), '--images', str(scenes)]
    extract.main(found)  # with the bands and the range of the recipe
    assert len(np.load(tmp_path / 'x.npy')) == 12
    with pytest.raises(UserError, match='recipe has datasets with bands: .* mmssl features'):
        mmssl.FeatureExtractor(run / 'epoch_1.pth')


BLOCKS = re.findall(r'```python\n(.*?)```', (ROOT / 'docs' / 'howto' / 'bands.md').read_text(), re.S)


@pytest.mark.parametrize('block', BLOCKS, ids=['simclr', 'dino', 'mae'])
def test_the_recipes_of_the_page_run(
    block: str, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (base,) = re.findall(r"^_base_ = '(\w+?)_(.*)'$", block, re.M)
    file = tmp_path / 'scenes.json'
    measure.main([str(scenes), '--bands', '0', '1', '2', '3', *'4' * 9, '--out', str(file)])
    for old, new in (
        (f"'{base[0]}_{base[1]}'", f"'{ROOT}/configs/{base[0]}/{base[0]}_{base[1]}'"),
        ("'/data/scenes', bands=13", f"'{scenes}', bands=[0, 1, 2, 3{', 4' * 9}]"),
        ("'scenes.json'", f"'{file}'"),
    ):
        assert old in block
        block = block.replace(old, new)
    (tmp_path / 'config.py').write_text(block)
    small = ['train_dataloader.batch_size=2', 'val_dataloader.batch_size=2']
    with pytest.raises(SystemExit, match='0'):
        train.main([str(tmp_path / 'config.py'), '--dry-run', '--cfg-options', *small])
    assert 'ready to train' in capsys.readouterr().out


def test_colours_and_other_numbers_of_bands_are_refused(
    write_config: Callable[..., Path], images: Path, scenes: Path, fails: Callable[..., str]
) -> None:
    bands = (f"data_root='{images}'", f"data_root='{scenes}', bands=5")
    message = fails(train.main, write_config(bands))
    assert 'dataset has 5 bands and model.data_preprocessor.mean 3' in message
    five = (_PREPROCESSOR, f'{_PREPROCESSOR[:-1]}, mean=[0.0] * 5, std=[255.0] * 5)')
    grey = ("type='AugmentedView', size=16", "type='AugmentedView', size=16, grayscale=0.2")
    message = fails(
        train.main, write_config(bands, five, grey, (_BACKBONE, _BACKBONE.replace(')', ', in_channels=5)')))
    )
    assert 'views use grayscale, which need red, green and blue' in message
