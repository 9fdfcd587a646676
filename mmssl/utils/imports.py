"""Imports every module of a package, so that a new file registers its classes without an entry in a list."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules


def import_submodules(package: str, path: Iterable[str]) -> None:
    """Imports every module and sub-package directly below ``package``.

    Args:
        package: Dotted name of the package, its ``__name__``.
        path: Directories of the package, its ``__path__``.
    """
    for module in iter_modules(path):
        import_module(f'{package}.{module.name}')
