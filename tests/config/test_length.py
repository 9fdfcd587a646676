"""The length of a run is said once: the loop and the milestones of its schedules follow."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from mmssl.config.load import load_config
from mmssl.utils.errors import UserError
from tests.support.tools import ROOT, load_tool

BENCHMARKS = ROOT / 'configs' / 'benchmarks'
MASK_RCNN = BENCHMARKS / 'mmdetection' / 'mask-rcnn_r50-fpn_1x_coco.py'
UPERNET = BENCHMARKS / 'mmsegmentation' / 'upernet_vit-base_160k_ade20k-512x512.py'

pytestmark = pytest.mark.skipif(
    any(find_spec(package) is None for package in ('mmcv', 'mmdet', 'mmseg')), reason='needs mmdet and mmseg'
)


@pytest.mark.parametrize('option', ['max_epochs', 'train_cfg.max_epochs'])
def test_milestones_move_with_the_epochs_and_the_warm_up_stays(option: str) -> None:
    cfg = load_config(MASK_RCNN, {option: 24})
    warmup, steps = cfg.param_scheduler
    assert cfg.train_cfg.max_epochs == steps.end == 24 and steps.milestones == [16, 22]
    assert warmup.end == 500
    cfg = load_config(BENCHMARKS / 'mmdetection' / 'faster-rcnn_r18-fpn_bccd.py', {option: 24})
    assert cfg.train_cfg.max_epochs == cfg.max_epochs == 24


def test_iterations() -> None:
    cfg = load_config(UPERNET, {'train_cfg.max_iters': 8000})
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end == 8000 and cfg.param_scheduler[1].begin == 1500
    with pytest.raises(UserError, match='a run of 1000 ends before the schedule PolyLR begins, at 1500'):
        load_config(UPERNET, {'train_cfg.max_iters': 1000})


def test_what_is_said_of_a_schedule_is_kept() -> None:
    cfg = load_config(MASK_RCNN, {'max_epochs': 24, 'param_scheduler.1.milestones': [20]})
    assert cfg.param_scheduler[1].milestones == [20] and cfg.param_scheduler[1].end == 12


def test_mistakes() -> None:
    with pytest.raises(UserError, match='max_epochs must be a whole number of at least 1, got 1.5'):
        load_config(MASK_RCNN, {'max_epochs': 1.5})
    with pytest.raises(UserError, match='max_epochs=3 and train_cfg.max_epochs=4 contradict each other'):
        load_config(MASK_RCNN, {'max_epochs': 3, 'train_cfg.max_epochs': 4})


def test_print_config_shows_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    load_tool('misc/print_config.py').main([str(MASK_RCNN), '--cfg-options', 'max_epochs=6'])
    printed = capsys.readouterr().out
    assert 'max_epochs=6' in printed and 'end=6' in printed and 'max_epochs=12' not in printed


def test_a_dict_on_the_command_line_is_read_or_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    tool = load_tool('misc/print_config.py')
    init = "model.backbone.init_cfg={'type': 'Pretrained', 'checkpoint': 'a.pth'}"
    tool.main([str(MASK_RCNN), '--cfg-options', init])
    printed = ''.join(capsys.readouterr().out.split())
    assert "init_cfg=dict(checkpoint='a.pth',type='Pretrained')" in printed
    with pytest.raises(SystemExit):
        tool.main([str(MASK_RCNN), '--cfg-options', 'model.backbone.arch={embed_dim:192,depth:12}'])
    assert 'write one option for each entry, such as model.backbone.arch.NAME=VALUE' in capsys.readouterr().err


def test_print_config_shows_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = 'clusterfit_resnet18_1xb128-200e_cifar10'
    load_tool('misc/print_config.py').main([recipe, '--cfg-options', 'cluster.num_clusters=7', 'fit.max_epochs=9'])
    text = capsys.readouterr().out
    lines = text.replace(' ', '').splitlines()
    assert 'num_clusters=7,' in lines and 'max_epochs=9' in lines and lines.count('max_epochs=200') == 1
    assert '# stage cluster\n# step.checkpoint becomes the file of rotnet.backbone\n' in text
