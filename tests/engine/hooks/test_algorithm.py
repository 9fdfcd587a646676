from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from mmssl.engine.hooks.algorithm import _coupling
from mmssl.models.algorithms.moco import MoCo
from tests.support.tiny_run import build_runner, tiny_config


@pytest.fixture()
def calls(monkeypatch) -> list:
    calls: list = []
    monkeypatch.setattr(MoCo, 'on_train_start', lambda self: calls.append('start'))
    monkeypatch.setattr(MoCo, 'on_step_end', lambda self, progress: calls.append(progress))
    return calls


def test_once_per_step_with_the_progress_of_steps(tmp_path: Path, calls: list) -> None:
    runner = build_runner(tiny_config(tmp_path, max_epochs=1))
    runner.train()
    assert calls.pop(0) == 'start'
    assert calls == pytest.approx([k / 6 for k in range(1, 7)])


def test_accumulation_counts_steps_the_last_incomplete_one_too(tmp_path: Path, calls: list) -> None:
    optim_wrapper = dict(
        type='MixedPrecisionOptimWrapper',
        dtype=None,
        accumulative_counts=4,
        optimizer=dict(type='SGD', lr=0.1),
    )
    runner = build_runner(tiny_config(tmp_path, max_epochs=1, optim_wrapper=optim_wrapper))
    runner.train()
    assert calls == ['start', 0.5, 1.0]
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert log.count('MoCo does not learn from 4 accumulated batches') == 1


def test_not_started_again_on_resume(tmp_path: Path, calls: list) -> None:
    build_runner(tiny_config(tmp_path, max_epochs=1)).train()
    calls.clear()
    build_runner(tiny_config(tmp_path, max_epochs=2, resume=True)).train()
    assert calls == pytest.approx([k / 12 for k in range(7, 13)])


def test_a_step_that_was_left_out_is_not_told(tmp_path: Path, calls: list) -> None:
    runner = build_runner(tiny_config(tmp_path, max_epochs=1))
    runner.train_loop  # noqa: B018  # builds it
    wrapper = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    step, skipped = wrapper.step, iter([False, True, False, False, False, False])
    wrapper.step = lambda **kwargs: None if next(skipped) else step(**kwargs)
    runner.param_schedulers = None
    runner.train()
    assert calls[1:] == pytest.approx([k / 6 for k in (1, 3, 4, 5, 6)])


def test_without_norms_in_training_nothing_couples_the_images() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model.batch_coupled = 'batch norm'
    assert _coupling(model) == 'batch norm' and _coupling(model.eval()) is None
    model.batch_coupled = 'in-batch negatives'
    assert _coupling(model) == 'in-batch negatives'


def test_batch_norms_couple_the_images_of_a_method_that_does_not_say_so() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model.batch_coupled = None
    assert _coupling(model) == 'batch norm' and _coupling(model.eval()) is None
    assert _coupling(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))) is None
