"""Checks that datasets suit an evaluation, before the training whose weights it evaluates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mmssl.utils.errors import UserError


def check_metrics(metrics: Iterable[Any], bank: tuple[str, Any], queries: tuple[str, Any]) -> None:
    """Checks that the datasets of an evaluation have what its metrics need.

    Args:
        metrics: Metrics; ``needs_labels`` of a metric says whether bank and queries need labels, and ``min_queries``
            how many queries it needs. A metric without these attributes is not checked.
        bank: Key in the config of the dataset from which metrics learn, and this dataset.
        queries: Key in the config of the test images, and these.

    Raises:
        UserError: No image of a dataset has a label, or there are too few queries.
    """
    for metric in metrics:
        name = type(metric).__name__
        if getattr(metric, 'needs_labels', False):
            for place, dataset in (bank, queries):
                check_labels(dataset, place, f'{name}: without them, use EmbeddingStatistics as the only metric')
        place, dataset = queries
        if len(dataset) < (least := getattr(metric, 'min_queries', 0)):
            raise UserError(
                f'{name} needs {least} images or more, and {place} holds {len(dataset)}: '
                'evaluate more, or none (--no-validate)'
            )


def check_labels(dataset: Any, place: str, user: str) -> None:
    """Checks that an image of a dataset has a label, without reading images.

    Args:
        dataset: Dataset; one without a method ``label`` is not checked.
        place: Key of the dataset in the config, for the message.
        user: Name of the part that needs the labels, for the message.

    Raises:
        UserError: No image has a label.
    """
    label = getattr(dataset, 'label', None)
    if label is not None and not any(label(index) >= 0 for index in range(len(dataset))):
        raise UserError(f'{place} has no labels, which are needed by {user}')
