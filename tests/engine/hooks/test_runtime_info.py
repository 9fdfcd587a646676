from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from mmssl.engine.hooks.runtime_info import RuntimeInfoHook
from mmssl.engine.runner import PretrainRunner
from tests.support.tiny_run import build_runner, tiny_config


@pytest.fixture()
def started(tmp_path: Path) -> tuple[RuntimeInfoHook, PretrainRunner]:
    """The hook of a run that is about to start, reading losses every third iteration as on a GPU."""
    runner = build_runner(tiny_config(tmp_path))
    runner.train_loop  # noqa: B018  # builds it
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    hook = next(hook for hook in runner.hooks if isinstance(hook, RuntimeInfoHook))
    hook.before_run(runner)
    hook.before_train(runner)
    assert hook.check_interval == 1
    hook.check_interval = 3
    return hook, runner


def test_reads_losses_once_per_interval(started) -> None:
    hook, runner = started
    with FakeTensorMode():  # tensors without values: reading one is an error
        for index in range(2):
            hook.after_train_iter(runner, index, outputs=dict(loss=torch.ones(())))
        with pytest.raises(DataDependentOutputException):
            hook.after_train_iter(runner, 2, outputs=dict(loss=torch.ones(())))


def test_hands_over_every_value_of_the_interval(started) -> None:
    hook, runner = started
    runner.optim_wrapper.grad_norm = torch.tensor(7.0)
    for index in range(3):
        assert ('train/loss' in runner.message_hub.log_scalars) is False
        hook.after_train_iter(runner, index, outputs=dict(loss=torch.tensor(index + 0.5), std=torch.tensor(0.1)))
    scalars = runner.message_hub.log_scalars
    assert scalars['train/loss'].data[0].tolist() == [0.5, 1.5, 2.5]
    assert scalars['train/grad_norm'].data[0].tolist() == [7.0] * 3
    assert scalars['train/lr'].data[0].tolist() == [0.1]


def test_an_overflowing_gradient_norm_does_not_stop_the_run(started) -> None:
    hook, runner = started
    runner.optim_wrapper.grad_norm = torch.tensor(float('inf'))
    for index in range(3):
        hook.after_train_iter(runner, index, outputs=dict(loss=torch.ones(())))
    assert runner.message_hub.log_scalars['train/grad_norm'].data[0].tolist() == [float('inf')] * 3
