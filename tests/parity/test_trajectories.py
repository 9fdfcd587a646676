"""Shipped recipes in the real runner, step by step against whole trainings recorded from the official codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.trajectory import run
from tests.parity.trajectory_cases import CASES


@pytest.mark.parametrize('name', list(CASES))
def test_recipe_trains_as_the_official_code(goldens_dir: Path, tmp_path: Path, name: str) -> None:
    wrong = run(goldens_dir, name, CASES[name], tmp_path).wrong
    assert not wrong, f'{len(wrong)} differences\n' + '\n'.join(wrong[:30])
