"""A run from trained weights: student and teacher begin with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mmssl.utils.errors import UserError
from tests.support.tiny_run import build_runner, tiny_config


@pytest.mark.parametrize('method', ['byol', 'moco'])
def test_student_and_teacher_begin_with_the_weights(tmp_path: Path, method: str) -> None:
    source = build_runner(tiny_config(tmp_path / 'source', randomness=dict(seed=9))).algorithm.backbone
    weights = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    torch.save(dict(state_dict=weights), tmp_path / 'weights.pth')
    hook = dict(type='TransferHook', checkpoint=str(tmp_path / 'weights.pth'))
    still = dict(optimizer=dict(type='SGD', lr=0.0))
    runner = build_runner(tiny_config(tmp_path / 'run', method, max_epochs=1, custom_hooks=[hook], optim_wrapper=still))
    first = 'backbone.conv1.weight'
    assert not torch.equal(runner.algorithm.get_parameter(first), weights['conv1.weight'])
    runner.train()
    for name, _ in source.named_parameters():
        assert torch.equal(runner.algorithm.get_parameter(f'backbone.{name}'), weights[name])
        torch.testing.assert_close(runner.algorithm.get_parameter(f'teacher.backbone.{name}'), weights[name])


def test_two_starts_are_refused(tmp_path: Path) -> None:
    source = build_runner(tiny_config(tmp_path / 'source'))
    torch.save(dict(state_dict=source.algorithm.state_dict()), tmp_path / 'whole.pth')
    hook = dict(type='TransferHook', checkpoint=str(tmp_path / 'whole.pth'))
    cfg = tiny_config(tmp_path / 'run', custom_hooks=[hook], load_from=str(tmp_path / 'whole.pth'))
    with pytest.raises(UserError, match='not both'):
        build_runner(cfg).train()
