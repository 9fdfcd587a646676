"""SharedStrings: what goes in comes out, a million names cost their characters, workers share them."""

import gc
import os
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from mmssl.datasets.shared_strings import SharedStrings


def test_strings_come_back() -> None:
    strings = ['', 'a.jpg', 'Grüße/日本.png', os.fsdecode(b'latin-\xe9.jpg')]
    shared = SharedStrings(iter(strings))
    assert [shared[i] for i in range(len(shared))] == strings
    assert len(SharedStrings([])) == 0


@pytest.mark.parametrize('index', [-1, 2])
def test_index_out_of_range(index: int) -> None:
    with pytest.raises(IndexError, match='not in 0..1'):
        SharedStrings(['a', 'b'])[index]


def test_a_million_names_cost_their_characters_and_eight_bytes() -> None:
    shared = SharedStrings(f'n{i % 1000:08d}/image_{i:08d}.JPEG' for i in range(1_000_000))
    assert shared[999_999] == 'n00000999/image_00999999.JPEG'
    assert shared.characters.nbytes + shared.ends.nbytes <= 1_000_000 * (29 + 8) + 8
    assert len(ForkingPickler.dumps(shared)) < 2000  # a worker that is spawned gets a handle, not the names


def _private_bytes() -> int:
    lines = Path('/proc/self/smaps_rollup').read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith('Private_Dirty'))


def _growth_while_reading(strings: SharedStrings, results: SimpleQueue) -> None:
    gc.disable()  # it writes into the objects of all tests before this one
    before = _private_bytes()
    for i in range(0, len(strings), 7):
        strings[i]
    results.put(_private_bytes() - before)


@pytest.mark.skipif(not Path('/proc/self/smaps_rollup').is_file(), reason='only Linux tells which pages were copied')
def test_a_forked_worker_copies_no_page() -> None:
    shared = SharedStrings(f'n{i % 1000:08d}/image_{i:08d}.JPEG' for i in range(1_000_000))
    context = get_context('fork')
    results = context.SimpleQueue()
    worker = context.Process(target=_growth_while_reading, args=(shared, results))
    worker.start()
    growth = results.get()
    worker.join()
    assert growth < 20e6  # a list of these names would be copied whole: 79 MB
