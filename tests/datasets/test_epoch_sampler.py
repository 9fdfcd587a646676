"""EpochSampler: one global order, shared evenly, that any number of processes follows."""

import pytest
from mmengine.runner import Runner

from mmssl.datasets import epoch_sampler
from mmssl.datasets.epoch_sampler import EpochSampler

N = 10


class Images(list):
    seed = None


def order(monkeypatch: pytest.MonkeyPatch, processes: int, epoch: int = 0, **kwargs) -> list[list[tuple[int, int]]]:
    shares = []
    monkeypatch.setattr(epoch_sampler, 'world_size', lambda: processes)
    for rank in range(processes):
        monkeypatch.setattr(epoch_sampler, 'rank', lambda rank=rank: rank)
        sampler = EpochSampler(range(N), seed=3, **kwargs)
        sampler.set_epoch(epoch)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler)
    return shares


def test_an_epoch_is_a_permutation_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs = [order(monkeypatch, 1, epoch)[0] for epoch in range(5)]
    for number, epoch in enumerate(epochs):
        assert {pair[0] for pair in epoch} == {number}
        assert sorted(pair[1] for pair in epoch) == list(range(N))
    assert len({tuple(index for _, index in epoch) for epoch in epochs}) == 5
    assert order(monkeypatch, 1, 3)[0] == epochs[3]


@pytest.mark.parametrize('processes', [2, 3, 4])
def test_processes_follow_one_order(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    together = order(monkeypatch, 1)[0]
    shares = order(monkeypatch, processes)
    assert len({len(share) for share in shares}) == 1
    assert [pair for step in zip(*shares) for pair in step] == together[: N // processes * processes]


@pytest.mark.parametrize('processes', [1, 3, 4])
def test_evaluation_takes_every_image_and_repeats_the_fewest(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = order(monkeypatch, processes, shuffle=False)
    together = [index for step in zip(*shares) for _, index in step]
    assert len({len(share) for share in shares}) == 1
    assert together[:N] == list(range(N))
    assert together[N:] == list(range(-N % processes))


def test_start_holds_for_one_epoch() -> None:
    sampler = EpochSampler(range(N), seed=0)
    whole = list(sampler)
    sampler.set_start(4)
    assert len(sampler) == N
    assert list(sampler) == whole[4:]
    assert list(sampler) == whole
    with pytest.raises(ValueError, match='10 images on this process, cannot start after 11'):
        sampler.set_start(11)


def test_seed_is_handed_to_a_dataset_without_one() -> None:
    images = Images([0, 1])
    EpochSampler(images, seed=7)
    assert images.seed == 7
    EpochSampler(images, seed=8)
    assert images.seed == 7


def test_too_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_sampler, 'world_size', lambda: 4)
    with pytest.raises(ValueError, match='3 images cannot be shared by 4'):
        EpochSampler(range(3), seed=0)


class Pairs(Images):
    def __getitem__(self, pair: tuple[int, int]) -> tuple[int, int]:
        return pair


def test_mmengine_builds_it() -> None:
    config = dict(dataset=Pairs(range(6)), sampler=dict(type='mmssl.EpochSampler'), batch_size=2)
    config['collate_fn'] = dict(type=list)
    loader = Runner.build_dataloader(config, seed=1)
    assert loader.sampler.seed == 1 and len(loader) == 3
    assert sorted(index for batch in loader for _, index in batch) == list(range(6))


@pytest.mark.parametrize(('size', 'window', 'run'), [(N, 2, 3), (100, 4, 8), (7, 9, 9), (50, 1, 1), (1000, 5, 64)])
def test_a_windowed_order_is_a_permutation_that_changes(size: int, window: int, run: int) -> None:
    sampler = EpochSampler(range(size), seed=3, window=window, run_length=run)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs.append([index for _, index in sampler])
        assert sorted(epochs[-1]) == list(range(size))
        sampler.set_start(size // 2)
        assert [index for _, index in sampler] == epochs[-1][size // 2 :]  # resumed
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_window_reads_a_few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = EpochSampler(range(64_000), seed=0, window=4, run_length=100)
    images = [index for _, index in sampler]
    for start in range(0, len(images), 400):
        read = images[start : start + 400]
        assert len({index // 100 for index in read}) <= 2 * 8  # two windows of four runs, each in two hundreds
        assert read != sorted(read)
    together = order(monkeypatch, 1, window=2, run_length=3)[0]
    shares = order(monkeypatch, 2, window=2, run_length=3)
    assert [pair for step in zip(*shares) for pair in step] == together


@pytest.mark.parametrize('change', [dict(window=0), dict(window=2, run_length=0), dict(window=2, shuffle=False)])
def test_wrong_windows(change: dict) -> None:
    with pytest.raises(ValueError, match='must be at least 1, and need shuffle=True'):
        EpochSampler(range(N), seed=0, **change)
