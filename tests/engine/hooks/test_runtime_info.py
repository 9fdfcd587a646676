from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from mmssl.distributed.collectives import rank
from mmssl.engine.hooks.runtime_info import RuntimeInfoHook
from mmssl.engine.runner import PretrainRunner
from tests.support.distributed import run_distributed
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


def _logged_losses(interval: int) -> tuple[list[float], int, str]:
    """What one of several processes logs of losses that differ, its collectives, and why a later NaN stops it."""
    hub = MessageHub.get_instance(f'losses_{interval}')
    runner = SimpleNamespace(
        message_hub=hub, model=nn.Linear(1, 1), iter=0, epoch=0, hooks=[], train_dataloader=range(100),
        optim_wrapper=SimpleNamespace(get_lr=lambda: dict(lr=[0.1]), grad_norm=None),
    )  # fmt: skip
    hook = RuntimeInfoHook()
    hook.on_gpu, hook.check_interval, hook.pending = True, interval, []
    collectives = []
    reduce = torch.distributed.all_reduce
    torch.distributed.all_reduce = lambda *args, **kwargs: collectives.append(1) or reduce(*args, **kwargs)
    try:
        for index in range(6):
            hook.after_train_iter(runner, index, outputs=dict(loss=torch.tensor(float(index + 10 * rank()))))
        losses = hub.log_scalars['train/loss'].data[0].tolist()
        hook.pending.append((7, dict(loss=torch.tensor(float('nan') if rank() else 1.0))))
        message = hook._read(runner)
    finally:
        torch.distributed.all_reduce = reduce
    return losses, len(collectives), message


def test_logged_losses_are_means_over_processes_with_one_collective_per_line() -> None:
    for losses, collectives, message in run_distributed(_logged_losses, 2, 3):
        assert losses == [index + 5.0 for index in range(6)]
        assert collectives == 3  # two lines of three iterations, and the last one
        assert 'the loss is not finite' in message
