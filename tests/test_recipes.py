"""The layout of recipes: main recipes that stand whole, variants that say what differs, and few copied lines."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

from mmssl.engine.stages import read_stages
from tests.support.recipes import BASES, RECIPES, bases, main_recipe

PASSAGE = 5  # lines, the default of the copy detector jscpd


@cache
def code(path: Path) -> list[str]:
    """The lines of a recipe that say something: without its docstring, comments, and lines without a letter."""
    text = path.read_text()
    docstring = ast.parse(text).body[0]
    lines = [line.strip() for line in text.splitlines()[docstring.end_lineno :]]
    return [line for line in lines if re.search('[A-Za-z]', line) and not line.startswith('#')]


def test_a_recipe_fits_a_screen() -> None:
    assert not [path.name for path in RECIPES if len(path.read_text().splitlines()) > 60]


def test_a_main_recipe_inherits_data_and_runtime_alone() -> None:
    for path in RECIPES:
        if main_recipe(path) is None:
            installed = [base for base in bases(path) if re.match(r'mm(det|seg)::', base)]
            assert not installed or path.parent.name in ('mmdetection', 'mmsegmentation'), path
            assert all((path.parent / base).resolve() in BASES for base in bases(path) if base not in installed), path


def test_a_variant_inherits_one_main_recipe_of_its_folder_and_is_shorter() -> None:
    variants = {path: main for path in RECIPES if (main := main_recipe(path)) is not None}
    assert variants
    for path, main in variants.items():
        assert bases(path) == [main.name], path
        assert main not in variants, f'{path} inherits a variant'
        assert len(code(path)) < len(code(main)), path


def test_the_learning_rate_of_each_stage_is_that_of_its_batch() -> None:
    for path in RECIPES:
        processes = re.search(r'_(\d+)xb\d+-', path.name)
        if processes is None or not re.search('^stages = ', path.read_text(), re.MULTILINE):
            continue
        for stage in filter(lambda stage: stage.trains, read_stages(path)):
            batch = int(processes[1]) * stage.config.train_dataloader.batch_size
            assert stage.config.auto_scale_lr.base_batch_size == batch, f'{path.name}: {stage.name}'


def test_few_lines_are_copies() -> None:
    """A line is a copy if it is one of five successive lines of code that stand in another recipe, too."""
    places = defaultdict(set)
    for path in RECIPES:
        for start in range(len(code(path)) - PASSAGE + 1):
            places[tuple(code(path)[start : start + PASSAGE])].add(path)
    copies = set()
    for path in RECIPES:
        for start in range(len(code(path)) - PASSAGE + 1):
            if len(places[tuple(code(path)[start : start + PASSAGE])]) > 1:
                copies |= {(path, start + i) for i in range(PASSAGE)}
    assert len(copies) < 0.3 * sum(len(code(path)) for path in RECIPES)
