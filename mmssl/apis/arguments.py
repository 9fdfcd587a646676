"""Checks of the arguments of the interface: paths, numbers and options."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from mmssl.utils.errors import UserError, did_you_mean


def read_path(path: str | Path, name: str) -> Path:
    """Returns the path with ``~`` replaced by the home folder.

    Args:
        path: Path of a file or folder.
        name: Name of the argument, for the message.

    Raises:
        UserError: The path is empty, or is not a path.
    """
    if not isinstance(path, (str, Path)):
        raise UserError(f'{name} must be a path, got {type(path).__name__}')
    if not str(path):
        raise UserError(f"{name} is an empty string: give a path; the current folder is '.'")
    return Path(path).expanduser()


def read_folder(path: str | Path, name: str) -> Path:
    """Returns the path of a folder to write to, which need not exist.

    Raises:
        UserError: The path, or a folder above it, is a file or does not permit to write.
    """
    folder = read_path(path, name)
    present = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not present.is_dir():
        raise UserError(f'{name}={str(path)!r} cannot be a folder, because {present} is a file: give another path')
    if not os.access(present, os.W_OK):
        raise UserError(f'{name}={str(path)!r} cannot be written, no right to write in {present}: give another path')
    return folder


def read_checkpoint(path: str | Path) -> str:
    """Returns the path of a checkpoint, a file or the folder of a sharded run, with ``~`` replaced by the home folder.

    Raises:
        UserError: There is no such file or folder.
    """
    from mmssl.checkpoints.files import holds_checkpoint  # here, because importing torch is slow

    file = read_path(path, 'checkpoint')
    if not holds_checkpoint(file):
        raise UserError(f'checkpoint {str(path)!r} does not exist')
    return str(file)


def check_number(name: str, value: int, least: int) -> None:
    """Checks that an argument is a whole number of at least ``least``.

    Raises:
        UserError: It is not.
    """
    if isinstance(value, bool) or not hasattr(value, '__index__') or value < least:
        raise UserError(f'{name} must be a whole number of at least {least}, got {value!r}')


def check_options(name: str, function: Callable, options: Iterable[str]) -> None:
    """Checks that a class or function has the arguments that a caller gives.

    Args:
        name: Name of the class, for the message.
        function: Class or function.
        options: Names of arguments.

    Raises:
        UserError: It does not have one of them.
    """
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for option in options:
        if option not in parameters:
            hint = did_you_mean(option, parameters) or f'; its arguments are {", ".join(parameters)}'
            raise UserError(f'{name} has no argument {option!r}{hint}')
