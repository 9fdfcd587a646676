"""What a check of annotated data found, and how files are counted without opening them."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_IMAGE_ENDINGS = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp'}


@dataclass
class Findings:
    """Sentences about the data of a run.

    Args:
        problems: Why a run would fail or learn something else.
        notes: What is left out, and what was only sampled.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Findings, place: str) -> None:
        """Takes over what was found at ``place``."""
        self.problems += [f'{place}: {text}' for text in other.problems]
        self.notes += [f'{place}: {text}' for text in other.notes]


def missing_files(paths: Iterable[str]) -> list[str]:
    """The paths that do not exist; every folder is listed once, and no file is opened."""
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
    """The clause ``, but 10 *.png``: images in ``folder`` and below with other endings; empty where there are none."""
    endings = Counter(
        os.path.splitext(name)[1] for _, _, names in os.walk(folder) for name in names if not name.endswith(expected)
    )
    found = [f'{number} *{ending}' for ending, number in endings.most_common() if ending.lower() in _IMAGE_ENDINGS]
    return f', but {" and ".join(found)}' if found else ''


def some(names: Sequence[str], limit: int = 3) -> str:
    """The first names, and how many there are."""
    return ', '.join(map(str, names[:limit])) + (f', ... ({len(names):,} in all)' if len(names) > limit else '')


def counts(boxes: Mapping[str, int], limit: int = 8) -> str:
    """Names with numbers, the most frequent first."""
    ordered = sorted(boxes.items(), key=lambda item: -item[1])
    shown = ', '.join(f'{name} ({number:,})' for name, number in ordered[:limit])
    return shown + (f', ... ({len(ordered)} names)' if len(ordered) > limit else '')


@dataclass
class Boxes:
    """Boxes of a data set by the names of their classes.

    Args:
        classes: The classes that are to be detected.
        images: Number of images.
        by_name: Number of boxes by the name in the annotations.
        filled: Number of images with a box of the classes.
        flat: Boxes without an area, or outside of their image.
    """

    classes: tuple[str, ...]
    images: int = 0
    by_name: Counter[str] = field(default_factory=Counter)
    filled: int = 0
    flat: list[str] = field(default_factory=list)

    def count(self, names: Sequence[str]) -> None:
        """Counts an image whose boxes have these names."""
        self.images += 1
        self.by_name.update(names)
        self.filled += any(name in self.classes for name in names)

    def findings(self, is_training: bool, is_sampled: bool = False) -> Findings:
        """What follows for a detector of ``classes``."""
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
                f'0 of {self.images:,} images has a box of ({wanted}); the annotations name: {named}{hint}'
            )
            return found
        total = sum(self.by_name.values())
        if others:
            found.notes.append(
                f'{sum(others.values()):,} of {total:,} boxes are dropped, the classes do not name them: {named}'
            )
            if is_training and empty and not is_sampled:
                found.problems.append(
                    f'no box has the class {some(empty, 8)}, while {sum(others.values()):,} of {total:,} boxes are '
                    f'dropped because the classes do not name them: {named}'
                )
        if empty and not found.problems:
            found.notes.append(f'{len(empty)} of {len(self.classes)} classes have no box: {some(empty, 8)}')
        if self.filled < self.images and is_training:
            found.notes.append(f'{self.images - self.filled:,} of {self.images:,} images have no box of the classes')
        if self.flat:
            shown = some(self.flat)
            found.notes.append(f'{len(self.flat):,} boxes have no area in their image and are passed over: {shown}')
        return found


def group_by_folder(paths: Iterable[str]) -> dict[str, int]:
    """Folder -> number of the paths in it."""
    folders: dict[str, int] = defaultdict(int)
    for path in paths:
        folders[str(Path(path).parent)] += 1
    return folders
