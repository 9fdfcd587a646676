"""Which recipes there are, and what each inherits."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from mmengine.config import Config

from mmssl.config.load import load_config
from tests.support.tools import ROOT

CONFIGS = ROOT / 'configs'
BASES = sorted((CONFIGS / '_base_').rglob('*.py'))
RECIPES = sorted(set(CONFIGS.rglob('*.py')) - set(BASES) - set(CONFIGS.glob('benchmarks/suites/*.py')))


@cache
def loaded(path: Path) -> Config:
    """A recipe, which nobody changes: reading one takes longer than most tests of it."""
    return load_config(path)


@cache
def bases(path: Path) -> list[str]:
    """What a recipe inherits, as it writes it."""
    values = [node.value for node in ast.parse(path.read_text()).body if ast.unparse(node).startswith('_base_ = ')]
    written = ast.literal_eval(values[0])
    return [written] if isinstance(written, str) else written


def main_recipe(path: Path) -> Path | None:
    """The recipe that a variant inherits; None of a main recipe."""
    return next(((path.parent / base).resolve() for base in bases(path) if (path.parent / base) in RECIPES), None)


def whole_text(path: Path) -> str:
    """The text of a recipe, after that of the main recipe which it inherits."""
    main = main_recipe(path)
    return (main.read_text() if main else '') + path.read_text()
