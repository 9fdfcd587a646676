"""What is compared takes turns."""

from __future__ import annotations

import time
from itertools import cycle
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmssl.profiling import throughput
from mmssl.profiling.throughput import measure_throughput
from mmssl.profiling.timing import Task, time_in_turns


def test_tasks_take_turns_in_alternating_order_and_preparation_is_free() -> None:
    calls: list[str] = []
    tasks = {
        'fast': Task(None, lambda: calls.append('fast')),
        'slow': Task(lambda: time.sleep(0.2), lambda: (calls.append('slow'), time.sleep(0.02))),
    }
    laps = time_in_turns(tasks, 2, torch.device('cpu'))
    assert calls == ['fast', 'slow', 'slow', 'fast', 'fast', 'slow']  # the first two warm up
    for lap in laps:
        wall, processor = lap['slow']
        assert 0.02 <= wall < 0.2 and processor < 0.02  # sleeping takes no processor time


def test_no_measurement_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match='repeats must be at least 1, got 0'):
        time_in_turns({}, 0, torch.device('cpu'))
    with pytest.raises(ValueError, match='num_iters and repeats must be at least 1, got 10 and 0'):
        measure_throughput(Config(), repeats=0)


def test_rates_count_images_and_shares_are_of_the_longer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = cycle([8.0, 1.0, 4.0, 5.0, 10.0])  # loading, augmentation, model, bare step, step of the loop
    monkeypatch.setattr(throughput, '_seconds', lambda part, device: next(seconds))
    monkeypatch.setattr(throughput, '_run', lambda *args: (2.0, 0.5))
    for name in ('_load', '_bare_step'):
        monkeypatch.setattr(throughput, name, lambda *args: None)
    loader = type('Loader', (list,), dict(batch_size=16, num_workers=3, dataset=None))([{}])
    runner = SimpleNamespace(
        train_dataloader=loader,
        model=torch.nn.Linear(1, 1),
        algorithm=SimpleNamespace(data_preprocessor=lambda batch, training: dict(inputs=[torch.zeros(1)])),
        train_loop=SimpleNamespace(run_iter=lambda *args: None),
    )
    figures = throughput._measure(runner, num_iters=5, repeats=2)
    rates = dict(loader_per_worker=2.0, augmentation=16.0, model_step=4.0, end_to_end=8.0)
    ratios = dict(data_wait=0.25, augmentation_share=0.25, step_overhead=2.0)
    expected = dict(rates, **ratios, batch_size=16, num_workers=3)
    assert {name: figures[name] for name in expected} == expected
