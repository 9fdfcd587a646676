"""What the parts of a run must agree about, compared before the first iteration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from mmssl.models.algorithms.views import Views


def check_views(algorithm: nn.Module, dataset: Any) -> None:
    """Compares the views that an algorithm takes with those that a training set draws.

    Args:
        algorithm: One without a contract, such as a detector, is left unchecked.
        dataset: The training set; several that are concatenated are compared one by one.

    Raises:
        UserError: Number, kind or sizes of the views differ from the contract.
    """
    contract = getattr(algorithm, 'views', None)
    if not isinstance(contract, Views):
        return
    for place, part in image_sources(dataset, 'train_dataloader.dataset'):
        if getattr(part, 'views', None):
            contract.check_transforms(part.views, type(algorithm).__name__, f'{place}.views')


def image_sources(dataset: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every (key in the config, dataset) that is not made of others, such as the parts of a concatenation."""
    if hasattr(dataset, 'datasets'):
        for index, part in enumerate(dataset.datasets):
            yield from image_sources(part, f'{place}.datasets.{index}')
    elif hasattr(dataset, 'dataset'):
        yield from image_sources(dataset.dataset, f'{place}.dataset')
    else:
        yield place, dataset
