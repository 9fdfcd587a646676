"""The contract between the data and an algorithm: the views of an image that ``loss`` takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmssl.utils.errors import UserError


@dataclass(frozen=True)
class Views:
    """Number, kind and sizes of the views that the ``loss`` of an algorithm takes.

    It is the class attribute ``views`` of an algorithm: ``views = Views(2)``. The runner compares it with the views of
    the training data before the first iteration, and ``BaseAlgorithm`` with the tensors at each call of ``loss``.

    Args:
        count: Number of views that are drawn independently of each other.
        any_size: Whether the sizes of these views may differ.
        local: Whether any number of other views, none of them larger, may follow, as in multi-crop.
        rendering: Whether one ``SameView`` may follow, which repeats the view before it at any size, for a tokenizer or
            teacher.
        kind: Attribute ``kind`` of the transforms of the views: ``'image'``, one crop of an image per view, is also the
            kind of a transform without this attribute. A tuple names the kind of each view.
        grid: Tiles per side of views that are mosaics, the attribute ``grid`` of their transforms; None for others.
    """

    count: int
    any_size: bool = False
    local: bool = False
    rendering: bool = False
    kind: str | tuple[str, ...] = 'image'
    grid: int | None = None

    def __str__(self) -> str:
        text = f'{self.count} view' if self.count == 1 else f'{self.count} independent views'
        if isinstance(self.kind, tuple):
            text += f' of the kinds {", ".join(map(repr, self.kind))}'
        elif self.kind != 'image':
            text += f' of the kind {self.kind!r}'
        text += '' if self.grid is None else f' with {self.grid} x {self.grid} tiles'
        text += ' of one size' if self.count > 1 and not self.any_size else ''
        text += ', then any number of views that are not larger' if self.local else ''
        return text + (', then perhaps one SameView' if self.rendering else '')

    def check_transforms(self, transforms: Sequence[Any], algorithm: str, place: str) -> None:
        """Compares the contract with the transforms that draw the views.

        Args:
            transforms: Built transforms of a dataset's ``views``, in order.
            algorithm: Name of the algorithm, for the message.
            place: Key of the views in the config, for the message.

        Raises:
            UserError: There are too few or too many views, or a view has another kind, grid or size.
        """
        kinds = [getattr(transform, 'kind', 'image') for transform in transforms]
        drawn = kinds[:-1] if self.rendering and kinds[-1:] == ['same'] else kinds
        problem = self._wrong_number(len(drawn))
        expected = [self.kind] * len(drawn) if isinstance(self.kind, str) else list(self.kind)
        if problem is None and drawn != expected:
            names = ', '.join(type(transform).__name__ for transform in transforms)
            problem = f'they are {names}'
            if 'same' in drawn:
                problem += ', and a SameView does not count as a view, because it repeats the view before it'
        grids = [transform.grid for transform in transforms if self.grid and hasattr(transform, 'grid')]
        if problem is None and set(grids) - {self.grid}:
            problem = f'their grids are {", ".join(map(str, grids))}'
        sizes = [getattr(transform, 'size', None) for transform in transforms[: len(drawn)]]
        squares = [(size, size) for size in sizes if isinstance(size, int)]
        if problem is None and len(squares) == len(sizes):
            problem = self._wrong_sizes(squares)
        if problem is not None:
            raise UserError(f'{algorithm} takes {self}; {place} has {len(transforms)}: {problem}')

    def check_tensors(self, views: Sequence[Tensor], algorithm: str) -> None:
        """Compares the contract with the views of a batch; ``algorithm`` is the name for the message.

        Raises:
            UserError: There are too few or too many views, or a view has another size.
        """
        most = len(views) - (self.rendering and len(views) == self.count + 1)
        problem = self._wrong_number(most) or self._wrong_sizes([tuple(view.shape[-2:]) for view in views[:most]])
        if problem is not None:
            raise UserError(f'{algorithm} takes {self}; the batch has {len(views)}: {problem}')

    def _wrong_number(self, number: int) -> str | None:
        if number < self.count:
            return f'{self.count - number} too few'
        return f'{number - self.count} too many' if number > self.count and not self.local else None

    def _wrong_sizes(self, sizes: Sequence[tuple[int, ...]]) -> str | None:
        first, further = sizes[: self.count], sizes[self.count :]
        largest = max(height * width for height, width in first)
        too_large = any(height * width > largest for height, width in further)
        if too_large or not self.any_size and len(set(first)) > 1:
            return f'their sizes are {", ".join(f"{height}x{width}" for height, width in sizes)}'
        return None
