"""Collates the items of a dataset into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import default_collate

from mmssl.registry import FUNCTIONS


@FUNCTIONS.register_module()
def collate_views(items: list[dict]) -> dict[str, Any]:
    """Stacks the items of a dataset into a batch, view by view.

    Args:
        items: N items of an ``ImageDataset``.

    Returns:
        A dict with the keys of the items: ``inputs``, a list with one uint8 (N, 3, S, S) tensor per view, or one such
        tensor if the items hold a single image, in channels-last memory like the views; ``photometric``, a list with
        one float32 (N, steps, 2) tensor per view; ``data_samples`` with ``index`` and ``label``, (N,) int64 each; and
        ``skipped``, one list with the names of all unreadable images.
    """
    inputs = [item['inputs'] for item in items]
    batch = default_collate([{key: item[key] for key in item.keys() - {'inputs', 'skipped'}} for item in items])
    batch['inputs'] = _stack(inputs) if isinstance(inputs[0], Tensor) else [_stack(view) for view in zip(*inputs)]
    batch['skipped'] = [name for item in items for name in item['skipped']]
    return batch


def _stack(views: Sequence[Tensor]) -> Tensor:
    return default_collate([view.permute(1, 2, 0) for view in views]).permute(0, 3, 1, 2)
