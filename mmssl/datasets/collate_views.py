"""Collates the items of a dataset into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
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
        tensor if the items hold a single image, in channels-last memory like the views (uint16 if the bands of an image
        have 16 bits); ``photometric``, a list with
        one float32 (N, steps, 2) tensor per view; ``data_samples`` with ``index`` and ``label``, (N,) int64 each; and
        ``skipped``, one list with the names of all unreadable images.
    """
    inputs = [item['inputs'] for item in items]
    batch = default_collate([{key: item[key] for key in item.keys() - {'inputs', 'skipped'}} for item in items])
    batch['inputs'] = (
        stack_images(inputs) if isinstance(inputs[0], Tensor) else [stack_images(view) for view in zip(*inputs)]
    )
    batch['skipped'] = [name for item in items for name in item['skipped']]
    return batch


def stack_images(views: Sequence[Tensor]) -> Tensor:
    """Stacks images (C, H, W), uint8 or uint16, to a batch (N, C, H, W) in channels-last memory."""
    if len({view.dtype for view in views}) > 1:  # bands of 8 and of 16 bits: white is 255 and 65535
        views = [view if view.dtype == torch.uint16 else view.int().mul(257).to(torch.uint16) for view in views]
    return default_collate([view.permute(1, 2, 0) for view in views]).permute(0, 3, 1, 2)
