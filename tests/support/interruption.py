"""A run that stops in the middle of an epoch and is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook

from mmssl.engine.runner import PretrainRunner
from mmssl.registry import HOOKS
from tests.support.tiny_run import tiny_config, train


class Interruption(Exception):
    """What stops the run."""


@HOOKS.register_module()
class InterruptionHook(Hook):
    """Raises ``Interruption`` at the end of an iteration.

    Args:
        iteration: Number of iterations after which to stop.
    """

    priority = 'LOWEST'

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        if runner.iter + 1 == self.iteration:
            raise Interruption


def assert_resume_is_exact(folder: Path, **changes: Any) -> None:
    """Compares a tiny run with one that stops after 11 of 18 iterations and resumes from its checkpoint of the eighth.

    Args:
        folder: For the checkpoints.
        **changes: Of ``tiny_config``, ``model`` for instance.
    """
    hooks, stop = changes.pop('custom_hooks', []), dict(type='InterruptionHook', iteration=11)
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
