"""Packing of windows that hold unequal numbers of visible tokens into groups of one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmssl.models.layers.device_copy import to_device


def knapsack(capacity: int, counts: np.ndarray) -> list[int]:
    """Returns the items, in ascending order, whose counts have the largest sum that is at most ``capacity``.

    Dynamic programming over items and capacities; of equally good choices the one with earlier items is returned.

    Args:
        capacity: Largest sum.
        counts: (W,) int, positive.
    """
    best = np.zeros((len(counts) + 1, capacity + 1), dtype=np.int64)  # [items, capacity] -> largest sum
    for item, count in enumerate(counts, 1):
        best[item] = best[item - 1]
        if count <= capacity:
            taken = best[item - 1, : capacity + 1 - count] + count
            best[item, count:] = np.maximum(best[item, count:], taken)
    chosen, left, value = [], capacity, best[-1, capacity]
    for item in range(len(counts), 0, -1):
        if value > 0 and value != best[item - 1, left]:
            chosen.append(item - 1)
            left, value = left - counts[item - 1], value - counts[item - 1]
    return chosen[::-1]


def group_windows(size: int, counts: np.ndarray) -> list[list[int]]:
    """Packs windows into groups: the fullest group that is possible, then the fullest of the rest, and so on.

    Args:
        size: Largest number of tokens of a group, at least the largest count.
        counts: (W,) int, positive numbers of tokens of the windows.

    Returns:
        Indices of windows for each group (Huang et al., 2022, arXiv:2205.13515, Algorithm 1).
    """
    left, groups = np.arange(len(counts)), []
    while len(left):
        chosen = knapsack(size, counts[left])
        groups.append(left[chosen].tolist())
        left = np.delete(left, chosen)
    return groups


@dataclass
class WindowGroups:
    """Tokens of an image sorted into G groups of g places, for attention within windows.

    Args:
        tokens: (G, g) int64, position of the token at each place; places that stay empty name token 0.
        places: (K,) int64, place of each token among the G * g places.
        allowed: (G, 1, g, g) bool, whether a place sees another: both hold tokens of one window, or both are empty.
        offsets: (G, g, g) int64, row of the table of relative positions for each pair of places; 0 if not allowed.
    """

    tokens: Tensor
    places: Tensor
    allowed: Tensor
    offsets: Tensor

    def to(self, device: torch.device) -> WindowGroups:
        """Returns the groups on a device, copied without waiting for it."""
        tensors = (self.tokens, self.places, self.allowed, self.offsets)
        return WindowGroups(*(to_device(tensor, device) for tensor in tensors))


def window_groups(coordinates: np.ndarray, window: int, shift: int, size: int | None = None) -> WindowGroups:
    """Groups the visible tokens of a stage of Swin by windows, on the host.

    The windows are those of the whole map, shifted by ``shift`` to the top and left without wrapping around: windows at
    the border are smaller, which equals Swin's cyclic shift with its mask.

    Args:
        coordinates: (K, 2) int, row and column of each visible token.
        window: Side w of a window in tokens.
        shift: Shift of the windows in tokens, in [0, window).
        size: Largest number g of tokens of a group. None uses ``min(w^2, fullest window)``, or a single group of all
            tokens if there are at most ``2 w^2``, as the official code does. The result of attention does not depend
            on it.
    """
    cells = (coordinates + (window - shift) % window) // window
    names = cells[:, 0] * (cells[:, 1].max() + 1) + cells[:, 1]
    _, owner, counts = np.unique(names, return_inverse=True, return_counts=True)
    total = len(coordinates)
    if size is None:
        size = total if total <= 2 * window**2 else min(window**2, int(counts.max()))
    groups = [list(range(len(counts)))] if size >= total else group_windows(size, counts)
    order = np.argsort(owner, kind='stable')
    starts = np.concatenate([[0], counts.cumsum()])
    tokens = np.zeros((len(groups), size), dtype=np.int64)
    windows = np.full((len(groups), size), -1, dtype=np.int64)
    places = np.zeros(total, dtype=np.int64)
    for row, group in enumerate(groups):
        members = np.concatenate([order[starts[w] : starts[w + 1]] for w in group])
        tokens[row, : len(members)], windows[row, : len(members)] = members, owner[members]
        places[members] = row * size + np.arange(len(members))
    allowed = windows[:, :, None] == windows[:, None, :]
    where = coordinates[tokens]  # (G, g, 2)
    delta = where[:, :, None] - where[:, None, :] + window - 1
    offsets = np.where(allowed, delta[..., 0] * (2 * window - 1) + delta[..., 1], 0)
    offsets[(windows < 0)[:, :, None] | (windows < 0)[:, None, :]] = 0
    arrays = (tokens, places, allowed[:, None], offsets)
    return WindowGroups(*(torch.from_numpy(array) for array in arrays))
