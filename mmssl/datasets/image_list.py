"""Images that a text file lists."""

from __future__ import annotations

from array import array
from pathlib import Path

import torch

from mmssl.datasets.image_files import ImageFiles
from mmssl.registry import DATASETS


@DATASETS.register_module()
class ImageList(ImageFiles):
    """The images that a text file lists, one a line: ``path`` or ``path label``.

    A line's last word is its label if it is a whole number. Either every line has a label or none has. Empty lines
    and lines that begin with ``#`` are left out. A path that does not exist is an unreadable image.

    Args:
        list_file: The text file, UTF-8.
        data_root: The folder that the paths are relative to; by default that of the list.
        **kwargs: ``views`` or ``transform``, ``seed``, ``split``, ``val_every`` as for ``ImageDataset``.

    Raises:
        FileNotFoundError: There is no such list, or it is empty.
        ValueError: Some lines have a label and some have none.
    """

    def __init__(self, list_file: str, data_root: str | None = None, **kwargs) -> None:
        path = Path(list_file).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f'{list_file} is not a file; set list_file to one with a path in each line')
        labels = array('i')

        def names():
            with path.open(encoding='utf-8') as lines:
                for number, line in enumerate(lines, 1):
                    line = line.strip()
                    if not line or line.startswith('#'):
                        continue
                    name, _, label = line.rpartition(' ')
                    is_labelled = bool(name) and label.isdecimal()
                    labels.append(int(label) if is_labelled else -1)
                    if is_labelled != (labels[0] >= 0):
                        raise ValueError(f'{list_file}:{number}: some lines have a label and some have none: {line!r}')
                    yield name.rstrip() if is_labelled else line

        super().__init__(str(path.parent if data_root is None else data_root), names(), **kwargs)
        self.labels = torch.frombuffer(labels, dtype=torch.int32)

    def _label(self, row: int) -> int:
        return int(self.labels[row])
