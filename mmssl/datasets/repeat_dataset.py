"""One image source several times an epoch."""

from __future__ import annotations

from typing import Any

from mmssl.datasets.concat_dataset import ConcatDataset
from mmssl.registry import DATASETS


@DATASETS.register_module()
class RepeatDataset(ConcatDataset):
    """The images of a source several times an epoch, each time with an augmentation of its own.

    Args:
        dataset: Config of the source, without ``views`` and ``transform``, which are given here.
        times: How many times an epoch holds each image, a whole number from 1 on.
        **kwargs: As for ``ConcatDataset``.
    """

    def __init__(self, dataset: dict, times: int, **kwargs: Any) -> None:
        super().__init__([dataset], [times], **kwargs)
