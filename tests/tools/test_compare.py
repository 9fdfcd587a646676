"""tools/profiling/compare.py: all figures stand in a row, with and without images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mmssl.cli.options import load_run
from mmssl.profiling import peers
from mmssl.profiling.recipe_step import RecipeStep
from mmssl.utils.errors import UserError
from tests.support import fake_toolbox
from tests.support.tools import load_tool

compare = load_tool('profiling/compare.py')


@pytest.fixture
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the package ``json`` a toolbox that has SimCLR, and names one that is not installed."""
    monkeypatch.setitem(peers.PEERS, 'SimCLR', {'json': fake_toolbox.build, 'no_toolbox': fake_toolbox.build})
    monkeypatch.setitem(peers.LOADERS, 'json', fake_toolbox.build_load)


@pytest.mark.usefixtures('_fake')
def test_a_toolbox_is_measured_or_named_as_missing(
    write_config: Callable[..., Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (figures,) = compare.main([str(write_config()), '--repeats', '2', '--images', str(images)]).values()
    head, line, row, missing = capsys.readouterr().out.strip().splitlines()[-4:]
    assert len({text.count('|') for text in (head, line, row, missing)}) == 1
    assert 'json: ' in row and 'no_toolbox: not installed' in missing and figures['missing'] == ['no_toolbox']
    assert (figures['batch_size'], figures['views']) == (4, [16, 16])
    assert figures['operators']['json'] == 2 < figures['operators']['mmssl']
    median, least, most = figures['ratios']['json']
    assert 1 < least <= median <= most and figures['peak_memory'].keys() == {'mmssl', 'json'}
    assert figures['data_ratios'].keys() == {'json'}
    assert 0 < figures['data_seconds']['mmssl'] < figures['seconds']['mmssl']


def test_the_table_without_images_has_operators() -> None:
    figures = dict(batch_size=4, views=[16, 16], seconds=dict(mmssl=1.0), ratios=dict(json=(0.5, 0.4, 0.6)))
    figures |= dict(data_seconds={}, data_ratios={}, operators=dict(mmssl=5, json=7), missing=['no_toolbox'])
    rows = compare.rows('name', figures)
    assert rows[0] == '| `name` | 4, 16 px | 1 s | json: 0.50 [0.40 0.60] | 5 / 7 |'
    head = (compare.HEAD + compare.COLUMNS[False]).splitlines()[0]
    assert {row.count('|') for row in rows} == {head.count('|')} and 'no_toolbox: not installed' in rows[1]


def test_a_step_takes_a_new_batch_only_if_images_are_read(
    write_config: Callable[..., Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    take = RecipeStep.take

    def noted(step: RecipeStep, batch: dict[str, Any]) -> None:
        taken.append(batch['inputs'][0])
        take(step, batch)

    monkeypatch.setattr(RecipeStep, 'take', noted)
    monkeypatch.setattr(peers, '_RUNS', {})
    monkeypatch.setattr(peers, 'keep_freed_memory', lambda: True)  # would change the process of the other tests
    cfg = load_run(str(write_config()), data=False)
    for folder, count in (None, 1), (str(images), 6):
        taken.clear()
        peers._prepare(cfg, 4, folder, None)
        for _ in range(5):  # two batches of every epoch
            assert min(peers._time('step')) >= 0
        assert len(taken) == count
    assert not any(torch.equal(a, b) for index, a in enumerate(taken[1:]) for b in taken[1:][:index])
    with pytest.raises(UserError, match='8 images are fewer than a batch of 1000'):
        peers._prepare(cfg, 1000, str(images), None)


def test_a_method_that_no_toolbox_has_is_refused(fails: Callable[..., str]) -> None:
    assert 'BEiT is compared with no toolbox' in fails(compare.main, 'beit_vit-base_16xb128-800e_in1k')
