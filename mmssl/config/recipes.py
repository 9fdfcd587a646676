"""Recipes by name: the configs in the package."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from mmssl.utils.errors import UserError, did_you_mean

FOLDER = (Path(__file__).parents[1] / '.mim' / 'configs').resolve()
_SUFFIXES = ('.py', '.yml', '.yaml', '.json')  # those that MMEngine reads
_NO_RECIPES = ('_base_', 'suites')  # base configs, and lists of benchmarks


@cache
def recipes() -> dict[str, Path]:
    """Returns the files of all recipes in the package, sorted by name: name -> file."""
    files = (file for file in FOLDER.rglob('*.py') if not set(_NO_RECIPES) & set(file.parts[len(FOLDER.parts) :]))
    return {file.stem: file for file in sorted(files, key=lambda file: file.stem)}


def select_recipes(pattern: str = '*', dataset: str | None = None) -> list[str]:
    """Returns the sorted names of the recipes that match.

    Args:
        pattern: Shell pattern for the whole name, such as ``'mae*'``.
        dataset: Shell pattern for the part of the name that names the dataset, such as ``'in1k'`` or ``'coco*'``.
    """
    names = [name for name in recipes() if fnmatchcase(name, pattern)]
    if dataset is not None:
        names = [name for name in names if any(fnmatchcase(part, dataset) for part in name.split('_')[1:])]
    return names


def find_config(config: str | Path) -> Path:
    """Returns the path of a config, given as a file or as the name of a recipe in the package.

    Args:
        config: Path of a file, or the name of a recipe, with or without ``.py``.

    Raises:
        UserError: The file does not exist, and no recipe has this name, or the file is no config.
    """
    path = Path(config).expanduser()
    if path.is_file():
        if path.suffix not in _SUFFIXES:
            raise UserError(
                f'{str(config)!r} is no config: give the name of a recipe, or a file that ends in '
                f'{", ".join(_SUFFIXES)}; a checkpoint stands after the config'
            )
        return path
    name = path.name.removesuffix('.py')
    if path.parent == Path() and name in recipes():
        return recipes()[name]
    if path.parent == Path():
        hint = did_you_mean(name, recipes())
        others = '' if hint else '; list all names with: mmssl recipes'
        raise UserError(f'config file {str(config)!r} does not exist, and no recipe has this name{hint}{others}')
    folder = path.parent if path.parent.is_dir() else Path('configs')
    files = folder.rglob('*.py') if 'configs' in folder.parts else folder.glob('*.py')  # a data folder may be large
    offered = [str(file) for file in files] or recipes()
    hint = did_you_mean(str(path) if folder.is_dir() else name, offered)
    raise UserError(f'config file {str(config)!r} does not exist{hint}')
