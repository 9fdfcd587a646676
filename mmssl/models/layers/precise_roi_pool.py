"""Precise RoI pooling: the exact mean of a map, interpolated bilinearly, over a box."""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.models.losses.numerics import in_full_precision


@in_full_precision
def precise_roi_pool(maps: Tensor, boxes: Tensor, bins: tuple[int, int] = (1, 1)) -> Tensor:
    """Averages maps over boxes exactly (Jiang et al., 2018, arXiv:1807.11590, Eq. 6).

    The map is a function of x and y that is bilinear between its cells and 0 outside the map; cell (j, i) lies at y =
    j and x = i, with no shift of half a cell. The integral over a box is a sum over the cells with weights that
    separate::

        W(t)  = integral of max(0, 1 - |s|) over s from -infinity to t
        value = sum_ji (W(y1 - j) - W(y0 - j)) (W(x1 - i) - W(x0 - i)) map_ji / area

    so two small matrix products take the place of a kernel. No gradient is needed for the boxes, but there is one.

    Args:
        maps: (N, C, H, W).
        boxes: (N, R, 4), x0, y0, x1, y1 of R boxes of each map, in cells; they may leave the map.
        bins: Rows and columns into which each box is divided.

    Returns:
        (N, R, C, rows, columns); 0 for a box without area.
    """
    boxes = boxes.to(maps.dtype)
    across = _weights(boxes[..., 0], boxes[..., 2], bins[1], maps.shape[3])  # (N, R, columns, W)
    down = _weights(boxes[..., 1], boxes[..., 3], bins[0], maps.shape[2])  # (N, R, rows, H)
    sums = torch.einsum('nrqw,nchw->nrcqh', across, maps)
    return torch.einsum('nrph,nrcqh->nrcpq', down, sums)


def _weights(start: Tensor, end: Tensor, bins: int, cells: int) -> Tensor:
    """Returns the weights (N, R, bins, cells) of the cells in the mean over each bin of the intervals (N, R)."""
    width = (end - start).clamp(min=0) / bins  # (N, R)
    steps = torch.arange(bins + 1, dtype=start.dtype, device=start.device)
    edges = start[..., None] + width[..., None] * steps  # (N, R, bins + 1)
    place = torch.arange(cells, dtype=start.dtype, device=start.device)
    integral = _hat_integral(edges[..., None] - place)  # (N, R, bins + 1, cells)
    covered = integral[..., 1:, :] - integral[..., :-1, :]
    return torch.where(width[..., None, None] > 0, covered / width.clamp(min=1e-12)[..., None, None], 0.0)


def _hat_integral(t: Tensor) -> Tensor:
    """Returns W(t): 0 below -1, (t + 1)^2 / 2 up to 0, 1 - (1 - t)^2 / 2 up to 1, then 1."""
    t = t.clamp(-1, 1)
    return torch.where(t < 0, (t + 1).square() / 2, 1 - (1 - t).square() / 2)
