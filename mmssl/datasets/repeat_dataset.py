"""Repeats a dataset several times per epoch."""

from __future__ import annotations

from typing import Any

from mmssl.datasets.concat_dataset import ConcatDataset
from mmssl.registry import DATASETS


@DATASETS.register_module()
class RepeatDataset(ConcatDataset):
    """Repeats each image of a dataset several times per epoch, with a different random augmentation each time.

    Args:
        dataset: Config of the dataset, without ``views`` and ``transform``, which are given to this class.
        times: Number of times that an epoch holds each image, an integer >= 1.
        **kwargs: Arguments of ``ConcatDataset``.
    """

    _source_key = 'dataset'

    def __init__(self, dataset: dict, times: int, **kwargs: Any) -> None:
        super().__init__([dataset], [times], **kwargs)
