"""tools/train.py --pretrained: what a run begins with, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmssl.models.backbones.resnet import ResNet
from tests.support.tools import load_tool

train = load_tool('train.py')

Writer = Callable[..., Path]
Fails = Callable[..., str]
STANDS_STILL = ('lr=0.01', 'lr=0.0')


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """A training checkpoint: the student's weights are 2, the teacher's 3."""
    network = ResNet(depth=18, stem='small', width=0.125)
    state = {
        owner + name: torch.full_like(tensor, value)
        for owner, value in (('backbone.', 2), ('teacher.backbone.', 3))
        for name, tensor in network.state_dict().items()
    }
    torch.save(dict(state_dict=state), tmp_path / 'pretrained.pth')
    return tmp_path / 'pretrained.pth'


def weights(run: Path, epoch: int = 1) -> Tensor:
    return torch.load(run / f'epoch_{epoch}.pth', weights_only=False)['state_dict']['backbone.conv1.weight']


def test_the_run_begins_with_the_weights_and_a_resumed_one_goes_on(
    write_config: Writer, pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, options = tmp_path / 'run', ['--no-validate', '--pretrained', str(pretrained)]
    config = [str(write_config(STANDS_STILL)), '--work-dir', str(run), *options]
    train.main([*config, '--use-teacher', '--cfg-options', 'max_epochs=1'])
    assert (weights(run) == 3).all()
    assert f'backbone: 120/120 tensors from {pretrained}' in ''.join(log.read_text() for log in run.glob('*/*.log'))
    train.main([*config, '--resume'])
    assert (weights(run, 2) == 3).all()  # not the student's


def test_too_little_stops_before_the_first_iteration(
    write_config: Writer, fails: Fails, pretrained: Path, tmp_path: Path
) -> None:
    run = tmp_path / 'run'
    message = fails(train.main, write_config(('depth=18', 'depth=34')), '--work-dir', run, '--pretrained', pretrained)
    assert 'backbone: 120/200 tensors' in message and 'missing: layer1.2.conv1.weight' in message
    assert not list(run.glob('*.pth'))


def test_options_that_make_no_sense(write_config: Writer, fails: Fails, pretrained: Path, tmp_path: Path) -> None:
    assert "checkpoint 'none.pth' does not exist" in fails(train.main, write_config(), '--pretrained', 'none.pth')
    assert 'give it with --pretrained' in fails(train.main, write_config(), '--use-teacher')
    options = ['--work-dir', tmp_path / 'run', '--pretrained', pretrained, '--cfg-options', f'load_from={pretrained}']
    assert 'give load_from or pre-trained weights' in fails(train.main, write_config(), *options)
