"""A dataset of the images that a text file lists."""

from __future__ import annotations

import codecs
import re
from array import array
from pathlib import Path
from typing import Any

import torch

from mmssl.datasets.bands import BAND_SUFFIXES
from mmssl.datasets.base import LARGEST_LABEL, printable
from mmssl.datasets.image_files import IMAGE_SUFFIXES, ImageFiles
from mmssl.registry import DATASETS

_SEPARATOR, _NUMBER = r'\s*[\s,;]\s*', r'-?\d+(?:\.\d*)?'
_IMAGE_LINE = re.compile(  # a path that ends with an image suffix, with or without quotes, then an optional label
    rf'"?(.+(?:{"|".join(map(re.escape, IMAGE_SUFFIXES + BAND_SUFFIXES))}))"?(?:{_SEPARATOR}(\S.*))?', re.IGNORECASE
)
_OTHER_LINE = re.compile(rf'(.+?){_SEPARATOR}({_NUMBER})')


@DATASETS.register_module()
class ImageList(ImageFiles):
    """Images that a text file lists, one per line: ``path`` or ``path label``.

    Path and label are separated by spaces, a tab, a comma or a semicolon. Labels are integers (``3`` or ``3.0``) or
    class names, which are numbered in sorted order. A path ends with the suffix of an image file (``.jpg``); in a line
    without such a suffix, the last word is a label if it is an integer. Either every line or no line has a label. Empty
    lines and comments, which begin with ``#`` and a space, are skipped. A path that does not exist counts as an
    unreadable image.

    Args:
        list_file: Text file in UTF-8.
        data_root: Folder to which the paths are relative; None means the folder of the list.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``.

    Raises:
        FileNotFoundError: The list does not exist or is empty.
        ValueError: The list is written in UTF-16, only some lines have a label, some labels are numbers and some are
            names, or a label is too large.
    """

    def __init__(self, list_file: str, data_root: str | None = None, **kwargs: Any) -> None:
        path = Path(list_file).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f'{list_file} is not a file; set list_file to one with a path in each line')
        with path.open('rb') as file:
            if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise ValueError(f'{list_file} is written in UTF-16: save it as UTF-8')
        labels, numbers = array('i'), dict[str, int]()
        first = None

        def names():
            nonlocal first
            with path.open(encoding='utf-8-sig', errors='surrogateescape') as lines:
                for number, line in enumerate(map(str.strip, lines), 1):
                    if not line or line == '#' or line.startswith('# '):
                        continue
                    try:
                        name, label = _split(line)
                    except ValueError as error:
                        raise ValueError(f'{list_file}:{number}: {error}') from error
                    kind = 'no label' if label is None else 'a number' if isinstance(label, int) else 'a class name'
                    first = first or kind
                    if kind != first:
                        raise ValueError(
                            f'{list_file}:{number}: all lines must have the same kind of label, or none: the '
                            f'first line has {first}, this one {kind}: {printable(line)!r}'
                        )
                    labels.append(numbers.setdefault(label, len(numbers)) if isinstance(label, str) else label or 0)
                    yield name

        super().__init__(str(path.parent if data_root is None else data_root), names(), **kwargs)
        self.labels = None if first == 'no label' else torch.frombuffer(labels, dtype=torch.int32)
        if numbers:
            self.classes = tuple(sorted(numbers))
            place = {name: number for number, name in enumerate(self.classes)}
            self.labels = torch.tensor([place[name] for name in numbers], dtype=torch.int32)[self.labels]

    def _label(self, row: int) -> int:
        return -1 if self.labels is None else int(self.labels[row])


def _split(line: str) -> tuple[str, str | int | None]:
    """Returns the path and the label of a line; the label is a number, a class name, or None."""
    match = _IMAGE_LINE.fullmatch(line) or _OTHER_LINE.fullmatch(line)
    if match is None:
        return line, None
    name, label = match[1], match[2] and match[2].strip('"')
    if label is None or not re.fullmatch(rf'(?:{_NUMBER}{_SEPARATOR})*{_NUMBER}', label):
        return name, label
    if not re.fullmatch(r'\d+(?:\.0*)?', label):
        raise ValueError(f'the label of {printable(name)} is {label!r}; it must be an integer >= 0 or a class name')
    number = int(label.partition('.')[0])
    if number > LARGEST_LABEL:
        raise ValueError(f'the label of {printable(name)} is {number}; it must be at most {LARGEST_LABEL}')
    return name, number
