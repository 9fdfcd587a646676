from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mmssl.engine.hooks.start_score import StartScoreHook


class _Hub(dict):
    def update_info(self, key: str, value: Any) -> None:
        self[key] = value

    def get_info(self, key: str, default: Any) -> Any:
        return self.get(key, default)


@pytest.fixture
def runner() -> Any:
    lines: list[tuple[str, str]] = []
    logger = SimpleNamespace(
        info=lambda text: lines.append(('info', text)), warning=lambda text: lines.append(('warning', text))
    )
    loop = SimpleNamespace(evaluate=lambda: dict(knn_top1=80.0))
    return SimpleNamespace(iter=0, val_loop=loop, message_hub=_Hub(), logger=logger, lines=lines)


def test_it_warns_below_the_start_and_not_above_it(runner: Any) -> None:
    hook = StartScoreHook(changes=['slowly'])
    hook.before_train(runner)
    assert [text for _, text in runner.lines] == [
        'start from trained weights: slowly',
        'before the first step: knn_top1 80.00',
    ]
    for value, level in ((81.0, 'info'), (79.6, 'info'), (79.4, 'warning')):
        hook.after_val_epoch(runner, dict(knn_top1=value))
        assert runner.lines[-1][0] == level and f'{value:.2f}' in runner.lines[-1][1]


def test_a_resumed_run_compares_with_the_start_in_its_checkpoint(runner: Any) -> None:
    runner.message_hub.update_info('start_score', 90.0)
    runner.iter = 5
    hook = StartScoreHook()
    hook.before_train(runner)
    assert not runner.lines
    hook.after_val_epoch(runner, dict(knn_top1=85.0))
    assert runner.lines[-1][0] == 'warning'


def test_without_labels_or_evaluation_it_says_so(runner: Any) -> None:
    runner.val_loop.evaluate = lambda: dict(effective_rank=3.0)
    StartScoreHook().before_train(runner)
    assert 'needs labels' in runner.lines[-1][1]
    StartScoreHook().after_val_epoch(runner, dict(effective_rank=3.0))
    runner.val_loop = None
    StartScoreHook().before_train(runner)
    assert 'not evaluated' in runner.lines[-1][1]
