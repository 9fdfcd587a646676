"""The hidden patches of a batch as rows, so that only these pass through a head."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmssl.models.layers.device_copy import to_device


class HiddenPatches(NamedTuple):
    """Hidden patches of V views of N images, one view after the other.

    Attributes:
        mask: (V * N, L) bool, True = hidden.
        positions: (P,) int64, the hidden patches, as positions among the V * N * L patches.
        weights: (P,) float64, 1 / (hidden patches of the same view of the same image * V * N), so that a weighted sum
            is the mean over views and images of the mean over the hidden patches; a view without hidden patches counts
            as 0 in this mean.
    """

    mask: Tensor
    positions: Tensor
    weights: Tensor

    def of(self, tokens: Tensor) -> Tensor:
        """Returns the rows (P, D) of the hidden patches of tokens (V * N, L, D)."""
        return tokens.flatten(0, 1).index_select(0, self.positions)


def hidden_patches(mask: np.ndarray, num_views: int, device: torch.device) -> HiddenPatches:
    """Lists the hidden patches of a mask that was drawn on the CPU, so the device is not synchronised.

    Args:
        mask: (N * V, L) bool, True = hidden: the views of image 0, then those of image 1, and so on. In this order each
            process has its share of the masks that one process would draw for all images.
        num_views: Number of views V.
        device: Device of the result.
    """
    rows = mask.reshape(-1, num_views, mask.shape[1]).swapaxes(0, 1).reshape(mask.shape)  # one view after the other
    counts = rows.sum(axis=1)
    weights = np.repeat(1 / counts.clip(min=1), counts) / len(rows)
    arrays = (np.ascontiguousarray(rows), np.flatnonzero(rows), weights)
    return HiddenPatches(*(to_device(torch.from_numpy(array), device) for array in arrays))
