"""Own data in configs of mmdet and mmseg: mistakes end before the run in a sentence, and a dry run tells the cost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmssl.config.load import load_config
from mmssl.datasets.checks import check_annotations
from mmssl.datasets.checks.findings import Findings
from mmssl.engine.transfer_runner import check_heads
from mmssl.utils.errors import UserError
from tests.support.downstream import shrink_options, write_camvid, write_voc
from tests.support.tools import ROOT, load_tool

pytestmark = pytest.mark.skipif(
    any(find_spec(package) is None for package in ('mmcv', 'mmdet', 'mmseg')), reason='needs mmdet and mmseg'
)

DETECTOR = ROOT / 'configs' / 'benchmarks' / 'mmdetection' / 'faster-rcnn_r18-fpn_bccd.py'
SEGMENTER = ROOT / 'configs' / 'benchmarks' / 'mmsegmentation' / 'fpn_r18_camvid.py'
Fails = Callable[..., str]
train = load_tool('train.py')


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    yield
    init_default_scope('mmssl')


@pytest.fixture(scope='module')
def raccoons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp('voc'), ('raccoon', 'raccoon'))


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp('camvid'))


def options(path: Path, root: Path, *more: str) -> list[str]:
    return [f'{key}={value}' for key, value in shrink_options(load_config(path)).items()] + [f'data_root={root}', *more]


def test_wrong_names_of_classes(raccoons: Path, fails: Fails, tmp_path: Path) -> None:
    run = ['--work-dir', tmp_path / 'run', '--cfg-options', f'data_root={raccoons}']
    message = fails(train.main, DETECTOR, *run)
    assert 'none of 4 images has a box of (WBC, RBC, Platelets); the annotations name: raccoon (8)' in message
    message = fails(train.main, DETECTOR, *run, "train_dataloader.dataset.metainfo.classes=('raccoon')")
    assert "metainfo.classes is the text 'raccoon', not a list of names: write ('raccoon',), with a comma" in message
    message = fails(train.main, DETECTOR, *run, 'classes=raccoon', 'model.roi_head.bbox_head.num_classes=7')
    assert 'num_classes=7 contradicts classes, which has 1 names' in message
    assert not (tmp_path / 'run').exists()


def test_heads_that_do_not_fit_the_data(scenes: Path, fails: Fails, tmp_path: Path) -> None:
    run = ['--work-dir', tmp_path / 'run', '--cfg-options', f'data_root={scenes}']
    message = fails(train.main, SEGMENTER, *run, 'model.decode_head.num_classes=5')
    assert 'model.decode_head.num_classes is 5, and the data has 11 classes (sky, building' in message
    message = fails(train.main, SEGMENTER, *run, 'train_dataloader.dataset.img_suffix=.png')
    assert f'no *.png in {scenes}/img/train, but 4 *.jpg: set img_suffix' in message
    message = fails(train.main, SEGMENTER, *run, 'classes=road,other')
    assert 'hold labels beyond the 2 classes 0 to 1: 2 (in 4)' in message


def test_heads_are_compared_where_the_config_does_not_say_their_classes() -> None:
    model = nn.Module()
    model.roi_head, model.rpn_head = nn.Module(), nn.Module()
    model.roi_head.bbox_head = nn.ModuleList([nn.Module()])
    model.roi_head.bbox_head[0].num_classes, model.rpn_head.num_classes = 80, 1
    with pytest.raises(UserError, match=r'model.roi_head.bbox_head.0 has 80 classes, but the data has 2'):
        check_heads(model, ('a', 'b'))
    model.roi_head.bbox_head[0].num_classes = 2
    check_heads(model, ('a', 'b'))
    check_heads(model, ('a', 'b', 'grass'), things=('a', 'b'))  # panoptic data


def test_the_config_of_the_page_is_for_the_class(tmp_path: Path, raccoons: Path) -> None:
    page = (ROOT / 'docs' / 'howto' / 'own_classes.md').read_text()
    text = re.search(r'```python\n(_base_.*?)```', page, re.S)[1]
    text = text.replace("'configs/", f"'{ROOT}/configs/").replace('/data/raccoons', str(raccoons))
    (tmp_path / 'raccoons.py').write_text(text)
    cfg = load_config(tmp_path / 'raccoons.py')
    assert check_annotations(cfg, ('train', 'val', 'test')) == Findings() and cfg.max_epochs == 12


def test_weights_of_a_whole_detector_are_loaded_loudly(raccoons: Path, fails: Fails, tmp_path: Path) -> None:
    run = ['--work-dir', tmp_path / 'run', '--cfg-options', *options(DETECTOR, raccoons, 'classes=raccoon')]
    init = "model.init_cfg={'type': 'Pretrained', 'checkpoint': '%s'}"
    torch.save(dict(state_dict={'conv1.weight': torch.zeros(8, 3, 7, 7)}), tmp_path / 'other.pth')
    message = fails(train.main, DETECTOR, *run, init % (tmp_path / 'other.pth'))
    assert 'tensors in' in message and 'match, so nothing was loaded' in message
    assert not list((tmp_path / 'run').glob('*.pth'))


@pytest.mark.parametrize('path', [DETECTOR, SEGMENTER], ids=['detector', 'segmenter'])
def test_a_dry_run_of_data_that_fit_and_of_none(
    path: Path, raccoons: Path, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = [str(path), '--dry-run', '--work-dir', str(tmp_path / 'run'), '--cfg-options']
    data = options(path, raccoons, 'classes=raccoon') if path == DETECTOR else options(path, scenes)
    with pytest.raises(SystemExit) as exit_:
        train.main([*run, *data])
    printed = capsys.readouterr().out
    assert exit_.value.code == 0, printed
    assert re.search(r'backbone +[\d,]+', printed) and 'activations' in printed and 'training step' in printed
    assert 'per epoch of 4 images' in printed and printed.endswith('ready to train\n')

    with pytest.raises(SystemExit) as exit_:
        train.main([*run, *options(path, tmp_path / 'none')])
    printed = capsys.readouterr().out
    assert exit_.value.code == 1 and 'PROBLEM: train_dataloader: the ' in printed and 'does not exist' in printed
    assert 'training step' in printed and 'synthetic images' in printed
    assert not (tmp_path / 'run').exists()
