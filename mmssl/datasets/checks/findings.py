"""The findings of a check of annotated data, and helpers that find missing files without opening them."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_IMAGE_ENDINGS = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp'}


@dataclass
class Findings:
    """The findings of a check, as sentences for the user.

    Args:
        problems: Mistakes in the data with which a run would fail or learn the wrong thing.
        notes: Facts about a run that can start, such as data that it leaves out or checks on a sample.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Findings, place: str) -> None:
        """Adds other findings, with ``place`` in front of each sentence."""
        self.problems += [f'{place}: {text}' for text in other.problems]
        self.notes += [f'{place}: {text}' for text in other.notes]


def missing_files(paths: Iterable[str]) -> list[str]:
    """Returns the paths that do not exist; it lists every folder once and opens no file."""
    listed: dict[str, set[str]] = {}
    missing = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in listed:
            listed[folder] = set(os.listdir(folder or '.')) if os.path.isdir(folder or '.') else set()
        if name not in listed[folder]:
            missing.append(path)
    return missing


def other_endings(folder: str, expected: str) -> str:
    """Returns the clause ``, but 10 *.png`` that counts images below ``folder`` with other suffixes than ``expected``.

    The clause is empty if there are no such images.
    """
    endings = Counter(
        os.path.splitext(name)[1] for _, _, names in os.walk(folder) for name in names if not name.endswith(expected)
    )
    found = [f'{number} *{ending}' for ending, number in endings.most_common() if ending.lower() in _IMAGE_ENDINGS]
    return f', but {" and ".join(found)}' if found else ''


def some(names: Sequence[str], limit: int = 3) -> str:
    """Returns the first ``limit`` names, and the number of all names if there are more."""
    return ', '.join(map(str, names[:limit])) + (f', ... ({len(names):,} in all)' if len(names) > limit else '')


def counts(boxes: Mapping[str, int], limit: int = 8) -> str:
    """Returns the ``limit`` most frequent names with their numbers, and the number of all names if there are more."""
    ordered = sorted(boxes.items(), key=lambda item: -item[1])
    shown = ', '.join(f'{name} ({number:,})' for name, number in ordered[:limit])
    return shown + (f', ... ({len(ordered)} names)' if len(ordered) > limit else '')


@dataclass
class Boxes:
    """Counts of the boxes of a dataset.

    Args:
        classes: Names of the classes to detect.
        images: Number of images.
        by_name: Name of a class in the annotations -> number of boxes.
        filled: Number of images with a box of ``classes``.
        flat: Descriptions of the boxes without an area or outside of their image.
    """

    classes: tuple[str, ...]
    images: int = 0
    by_name: Counter[str] = field(default_factory=Counter)
    filled: int = 0
    flat: list[str] = field(default_factory=list)

    def count(self, names: Sequence[str]) -> None:
        """Counts one image, whose boxes have the class names ``names``."""
        self.images += 1
        self.by_name.update(names)
        self.filled += any(name in self.classes for name in names)

    def findings(self, is_training: bool, is_sampled: bool = False) -> Findings:
        """Returns the findings for a detector of ``classes``.

        Args:
            is_training: True for training data, where a class without a box can be a problem.
            is_sampled: True if only some of the images were counted.
        """
        found = Findings()
        others = {name: number for name, number in self.by_name.items() if name not in self.classes}
        empty = [name for name in self.classes if not self.by_name[name]]
        named = counts(others) if others else 'nothing'
        hint = ''
        if 0 < len(others) <= 20:
            hint = f'; for them: --cfg-options classes="{tuple(others)}"'
        if not self.filled:
            wanted = ', '.join(self.classes[:8]) + (', ...' if len(self.classes) > 8 else '')
            found.problems.append(
                f'none of {self.images:,} images has a box of ({wanted}); the annotations name: {named}{hint}'
            )
            return found
        total = sum(self.by_name.values())
        if others:
            found.notes.append(
                f'{sum(others.values()):,} of {total:,} boxes are dropped, as the config lacks their classes: {named}'
            )
            if is_training and empty and not is_sampled:
                found.problems.append(
                    f'no box has the class {some(empty, 8)}, while {sum(others.values()):,} of {total:,} boxes are '
                    f'dropped because the config lacks their classes: {named}'
                )
        if empty and not found.problems:
            found.notes.append(f'{len(empty)} of {len(self.classes)} classes have no box: {some(empty, 8)}')
        if self.filled < self.images and is_training:
            found.notes.append(f'{self.images - self.filled:,} of {self.images:,} images have no box of the classes')
        if self.flat:
            shown = some(self.flat)
            found.notes.append(f'{len(self.flat):,} boxes have no area in their image and are skipped: {shown}')
        return found


def group_by_folder(paths: Iterable[str]) -> dict[str, int]:
    """Returns folder -> number of paths in it."""
    folders: dict[str, int] = defaultdict(int)
    for path in paths:
        folders[str(Path(path).parent)] += 1
    return folders
