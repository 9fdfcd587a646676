"""Recipes by name: the configs that travel with the package."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from mmssl.utils.errors import UserError, did_you_mean

FOLDER = (Path(__file__).parents[1] / '.mim' / 'configs').resolve()
_NO_RECIPES = ('_base_', 'suites')  # folders of what recipes inherit, and of lists of benchmarks


@cache
def recipes() -> dict[str, Path]:
    """Returns name -> file of every recipe in the package, sorted by name."""
    files = (file for file in FOLDER.rglob('*.py') if not set(_NO_RECIPES) & set(file.parts[len(FOLDER.parts) :]))
    return {file.stem: file for file in sorted(files, key=lambda file: file.stem)}


def select_recipes(pattern: str = '*', dataset: str | None = None) -> list[str]:
    """Returns the names of the recipes that fit, sorted.

    Args:
        pattern: Shell pattern for the whole name, such as ``'mae*'``.
        dataset: Shell pattern for the part of the name that says the data, such as ``'in1k'`` or ``'coco*'``.
    """
    names = [name for name in recipes() if fnmatchcase(name, pattern)]
    if dataset is not None:
        names = [name for name in names if any(fnmatchcase(part, dataset) for part in name.split('_')[1:])]
    return names


def find_config(config: str | Path) -> Path:
    """Returns the path of a config: a file, or a recipe in the package, of which the name alone is enough.

    Args:
        config: Path of a file, or the name of a recipe, with or without ``.py``.

    Raises:
        UserError: There is neither such a file nor such a recipe.
    """
    path = Path(config).expanduser()
    if path.is_file():
        return path
    name = path.name.removesuffix('.py')
    if path.parent == Path() and name in recipes():
        return recipes()[name]
    if path.parent == Path():
        hint = did_you_mean(name, recipes())
        others = '' if hint else '; the names of all: mmssl recipes'
        raise UserError(f'config file {str(config)!r} does not exist, and no recipe has this name{hint}{others}')
    folder = path.parent if path.parent.is_dir() else Path('configs')
    offered = [str(file) for file in folder.rglob('*.py')] or recipes()
    hint = did_you_mean(str(path) if folder.is_dir() else name, offered)
    raise UserError(f'config file {str(config)!r} does not exist{hint}')
