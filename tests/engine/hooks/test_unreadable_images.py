"""UnreadableImagesHook: counts different images, reports them, and stops above its limit."""

from types import SimpleNamespace

import pytest
import torch

from mmssl.engine.hooks.unreadable_images import UnreadableImagesHook


class Log:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, message: str) -> None:
        self.warnings.append(message)


def runner(num_images: int) -> SimpleNamespace:
    return SimpleNamespace(logger=Log(), train_dataloader=SimpleNamespace(sampler=range(num_images)))


def epoch(hook: UnreadableImagesHook, run: SimpleNamespace, skipped: list[list[str]], batch_size: int = 100) -> None:
    hook.before_train_epoch(run)
    for number, names in enumerate(skipped):
        data = dict(data_samples=dict(index=torch.arange(batch_size)), skipped=names)
        hook.after_train_iter(run, number, data)
    hook.after_train_epoch(run)


def test_reports_the_first_few_of_an_epoch() -> None:
    run, hook = runner(1000), UnreadableImagesHook()
    names = [f'/data/{i}.jpg' for i in range(7)]
    epoch(hook, run, [names[:3], names[2:], *[[]] * 8])
    first, message = run.logger.warnings
    assert first.endswith('replaced by another one: /data/0.jpg')
    assert message.startswith('7 of 1000 images')
    assert message.endswith('/data/0.jpg; /data/1.jpg; /data/2.jpg; /data/3.jpg; /data/4.jpg; ...')
    epoch(hook, run, [[]] * 10)
    assert len(run.logger.warnings) == 2  # every epoch counts for itself


def test_exactly_one_percent_is_reported_and_more_stops_at_once() -> None:
    run, hook = runner(200), UnreadableImagesHook()
    epoch(hook, run, [['a', 'b'], []])
    assert run.logger.warnings[-1].startswith('2 of 200')
    with pytest.raises(ValueError, match=r'3 of 200 images .*, more than 1 %: a; b; c\. Replace.*max_share'):
        epoch(hook, run, [['a', 'b', 'c'], []])


def test_one_image_of_a_small_folder_and_a_larger_limit_do_not_stop_a_run() -> None:
    run = runner(42)
    epoch(UnreadableImagesHook(), run, [['a'], []])
    epoch(UnreadableImagesHook(max_share=0.1), run, [['a', 'b', 'c', 'd'], []])
    assert [message[:7] for message in run.logger.warnings[1::2]] == ['1 of 42', '4 of 42']
    with pytest.raises(ValueError, match=r'max_share must be in \[0, 1\]'):
        UnreadableImagesHook(max_share=5)
