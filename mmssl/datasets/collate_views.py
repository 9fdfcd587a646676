"""Items -> batch."""

from __future__ import annotations

from typing import Any

from torch.utils.data import default_collate

from mmssl.registry import FUNCTIONS


@FUNCTIONS.register_module()
def collate_views(items: list[dict]) -> dict[str, Any]:
    """Stacks the items of a dataset into a batch, view by view.

    Args:
        items: N items of an ``ImageDataset``.

    Returns:
        The same keys: ``inputs`` a list of uint8 (N, 3, S, S) per view, or one such tensor where items carry one;
        ``photometric`` a list of float32 (N, steps, 2) per view; ``data_samples`` with ``index`` and ``label``
        (N,) int64; ``skipped``, the names of all unreadable images that were met, as one list.
    """
    stacked = default_collate([{key: value for key, value in item.items() if key != 'skipped'} for item in items])
    return dict(stacked, skipped=[name for item in items for name in item['skipped']])
