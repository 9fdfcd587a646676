"""The datasets inside a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def image_sources(dataset: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yields (key in the config, dataset) of every dataset that reads images itself, such as parts of a concatenation.

    Args:
        dataset: Dataset, which may wrap others as ``dataset`` or ``datasets``.
        place: Key of ``dataset`` in the config.
    """
    if hasattr(dataset, 'datasets'):
        for index, part in enumerate(dataset.datasets):
            yield from image_sources(part, f'{place}.datasets.{index}')
    elif hasattr(dataset, 'dataset'):
        yield from image_sources(dataset.dataset, f'{place}.dataset')
    else:
        yield place, dataset
