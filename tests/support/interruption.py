"""Interrupts a run within an epoch and resumes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook

from mmssl.engine.runner import PretrainRunner
from mmssl.registry import HOOKS
from tests.support.tiny_run import tiny_config, train


class Interruption(Exception):
    """The exception that stops the run."""


@HOOKS.register_module()
class StopRunHook(Hook):
    """Raises ``Interruption`` at the end of an iteration.

    Args:
        iteration: Number of iterations after which the run stops.
    """

    priority = 'LOWEST'

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        if runner.iter + 1 == self.iteration:
            raise Interruption


def assert_resume_is_exact(folder: Path, **changes: Any) -> None:
    """Asserts that an interrupted and resumed run ends with the same weights and optimizer as an uninterrupted one.

    The run stops after 11 of 18 iterations and resumes from its checkpoint of iteration 8.

    Args:
        folder: Folder for the checkpoints.
        **changes: Arguments of ``tiny_config``, such as ``model``.
    """
    hooks, stop = changes.pop('custom_hooks', []), dict(type='StopRunHook', iteration=11)
    whole = train(tiny_config(folder / 'whole', custom_hooks=hooks, **changes))
    try:
        train(tiny_config(folder / 'stopped', custom_hooks=[*hooks, stop], **changes))
    except Interruption:
        pass
    assert (folder / 'stopped' / 'last_checkpoint').read_text().endswith('iter_8.pth')
    resumed = train(tiny_config(folder / 'stopped', custom_hooks=hooks, **changes, resume=True))
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name
    optimizers = [runner.optim_wrapper.optimizer.state_dict() for runner in (whole, resumed)]
    assert optimizers[0]['param_groups'] == optimizers[1]['param_groups']
    torch.testing.assert_close(optimizers[1]['state'], optimizers[0]['state'], rtol=0, atol=0)
