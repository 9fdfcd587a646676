"""The table of all methods, in miniature on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from mmssl.profiling import device_table
from mmssl.profiling.device_table import END, START, default_recipes, measure_table, table_text, write_table
from mmssl.utils.errors import UserError
from tests.support.recipes import CONFIGS
from tests.support.shrink import shrink
from tests.support.tools import ROOT

SIMCLR, MOCOV3 = 'simclr_resnet18_1xb512-200e_cifar10', 'mocov3_vit-tiny_1xb512-200e_cifar10'


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmssl')


def test_the_table_has_a_row_for_each_recipe(monkeypatch) -> None:
    monkeypatch.setattr(device_table, '_measure_wait', lambda cfg, dtype: dict(data_wait=0.25))
    options = dict(batch_size=2, dtype=None, repeats=1, compiled=False, change=shrink)
    figures = measure_table([SIMCLR, MOCOV3], minutes=5, **options)
    simclr, mocov3 = (figures['steps'][name] for name in (SIMCLR, MOCOV3))
    assert set(simclr['ratios']) == {'contiguous', 'apart'} and set(mocov3['ratios']) == {'joint', 'not_fused'}
    assert all(value > 0 for value in [*simclr['seconds'].values(), *simclr['operators'].values()])
    text = table_text(figures)
    assert text.count('\n| `') == 2 and 'first recipe: 25.0%' in text and 'first recipe: not measured' in text
    simclr['seconds'] |= dict(step=3.0, torch_augmentation=1.0)  # as on a GPU with Triton
    assert f'| {simclr["augmentation_share"]:.1%} (25.0%) |' in table_text(figures)


def test_what_is_left_when_the_time_is_up_is_named() -> None:
    figures = measure_table([SIMCLR], minutes=0)
    assert figures['steps'] == {SIMCLR: 'not measured'} and figures['data_wait'] is None
    assert f'| `{SIMCLR}` | not measured |' in table_text(figures)


def test_every_method_with_an_imagenet_recipe_has_a_row() -> None:
    folders = {path.parent.name for path in CONFIGS.glob('*/*_in1k.py')}
    chosen = {recipe.partition('_')[0] for recipe in default_recipes()}
    assert len(default_recipes()) == len(chosen) >= len(folders) and default_recipes()[0].startswith('simclr')


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    file = tmp_path / 'page.md'
    file.write_text(f'before\n{START}\nold\n{END}\nafter\n')
    write_table('new', file)
    assert file.read_text() == f'before\n{START}\nnew\n{END}\nafter\n'
    file.write_text('no marks')
    with pytest.raises(UserError, match='has no lines'):
        write_table('new', file)
    assert START in Path(ROOT, 'docs/howto/profiling.md').read_text()
