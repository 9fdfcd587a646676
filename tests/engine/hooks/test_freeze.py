from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from torch import Tensor

from mmssl.engine.hooks.freeze import FreezeHook
from tests.support.tiny_run import build_runner, tiny_config, train

NAME = 'neck.layers.3'  # the last linear layer of the tiny run


class Watch(Hook):
    """Keeps the weights and the optimizer's state of the frozen layer at the end of every epoch."""

    def __init__(self) -> None:
        self.weights: list[Tensor] = []
        self.has_state: list[bool] = []

    def after_train_epoch(self, runner, *args: object) -> None:
        weight = runner.algorithm.get_parameter(f'{NAME}.weight')
        self.weights.append(weight.detach().clone())
        self.has_state.append(weight in runner.optim_wrapper.optimizer.state)


def test_parameters_are_kept_for_the_first_epochs_only(tmp_path: Path) -> None:
    runner = build_runner(
        tiny_config(
            tmp_path,
            custom_hooks=[dict(type='FreezeHook', name=NAME, epochs=2)],
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.5)),
        )
    )
    watch = Watch()
    runner.register_hook(watch)
    before = runner.algorithm.get_parameter(f'{NAME}.weight').detach().clone()
    other = runner.algorithm.get_parameter('neck.layers.0.weight').detach().clone()
    runner.train()
    assert torch.equal(watch.weights[0], before)
    assert torch.equal(watch.weights[1], before)
    assert not torch.equal(watch.weights[2], before)
    assert watch.has_state == [False, False, True]
    assert not torch.equal(runner.algorithm.get_parameter('neck.layers.0.weight'), other)


def test_a_run_that_ends_before_the_frozen_epochs_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for epochs in (2, 3):
        runner = build_runner(tiny_config(tmp_path, custom_hooks=[dict(type='FreezeHook', name=NAME, epochs=epochs)]))
        (hook,) = (hook for hook in runner.hooks if isinstance(hook, FreezeHook))
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.logger.addHandler(caplog.handler)
        hook.before_train(runner)
    assert [text for text in caplog.messages if 'FreezeHook' in text] == [
        f"FreezeHook freezes '{NAME}' for 3 epochs, and the run has 3: these parameters will not change"
    ]


def test_a_name_that_nothing_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="begins with 'neck.lats_layer'; there are backbone.bn1, "):
        train(tiny_config(tmp_path, custom_hooks=[dict(type='FreezeHook', name='neck.lats_layer')]))


def test_moments_may_collect_what_the_frozen_epochs_do_not_use(tmp_path: Path) -> None:
    hook = dict(type='FreezeHook', name=NAME, epochs=2, moments=True)
    optimizer = dict(type='AdamW', lr=0.1, weight_decay=0.5)
    runner = build_runner(tiny_config(tmp_path, custom_hooks=[hook], optim_wrapper=dict(optimizer=optimizer)))
    watch = Watch()
    runner.register_hook(watch)
    before = runner.algorithm.get_parameter(f'{NAME}.weight').detach().clone()
    runner.train()
    assert torch.equal(watch.weights[1], before) and not torch.equal(watch.weights[2], before)
    assert watch.has_state == [True] * 3
