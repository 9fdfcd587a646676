"""InfoNCE of the regions of two views."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mmssl.models.losses.numerics import check_temperature, in_full_precision, masked_mean
from mmssl.registry import LOSSES


@in_full_precision
def region_contrast(
    queries: Tensor, keys: Tensor, bank: Tensor, visible: Tensor, temperature: float, per_process: bool = False
) -> Tensor:
    """Contrasts each region with the same region of the other view (ReSim, arXiv:2103.12902, Eq. 2).

    Args:
        queries: (N, W, C), features of W regions of each image in one view; they need not have unit length.
        keys: (N, W, C), features of the same regions in the other view.
        bank: (B, C), negatives of every query, rows of unit length.
        visible: (N, W) bool, whether the region lies in both views; the others do not count.
        temperature: Divisor of the cosine similarities, > 0.
        per_process: Whether the mean is that of this process, as in the official code, instead of the mean over the
            regions of all processes; they differ if processes see different numbers of regions.

    Returns:
        Scalar: mean (1 + B)-way cross entropy over the visible regions; 0 if there is none.
    """
    queries, keys = normalize(queries, dim=-1), normalize(keys, dim=-1)
    positives = (queries * keys).sum(dim=-1, keepdim=True)  # (N, W, 1)
    logits = torch.cat((positives, queries @ bank.T), dim=-1).flatten(0, 1) / temperature
    first = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    values = cross_entropy(logits, first, reduction='none').view_as(visible)
    if per_process:
        return (values * visible).sum() / visible.sum().clamp(min=1)
    return masked_mean(values, visible)


@LOSSES.register_module()
class RegionContrastLoss(nn.Module):
    """ReSim's loss of regions, see ``region_contrast``.

    Args:
        temperature: Divisor of the cosine similarities.
        per_process: Whether the mean over the visible regions is that of each process, as in the official code.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(self, temperature: float = 0.2, per_process: bool = False) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature, self.per_process = temperature, per_process

    def forward(self, queries: Tensor, keys: Tensor, bank: Tensor, visible: Tensor) -> Tensor:
        """Returns the loss, a scalar, of regions (N, W, C), a bank (B, C) and a mask (N, W)."""
        return region_contrast(queries, keys, bank, visible, self.temperature, self.per_process)
