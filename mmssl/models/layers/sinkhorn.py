"""Sinkhorn-Knopp normalisation: scores -> soft assignments that use every prototype about equally."""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.distributed.collectives import max_over_processes, sum_over_processes
from mmssl.models.losses.numerics import in_full_precision


@torch.no_grad()
@in_full_precision
def sinkhorn(scores: Tensor, epsilon: float = 0.05, iterations: int = 3, weights: Tensor | None = None) -> Tensor:
    r"""Codes of the samples of all processes together (SwAV, arXiv:2006.09882, Eq. 3 to 5; Cuturi, 2013).

    ``q = exp(scores / epsilon)``; then, ``iterations`` times, every prototype's entries are divided by their sum over
    the samples of all processes, and every sample's entries by their sum over prototypes. So each sample's code sums to
    1 exactly, and each prototype's mass approaches its share. N processes get what one process gets.

    The largest score of a prototype is subtracted first, so that nothing overflows: a constant per prototype cancels. A
    constant per sample would not after few iterations. Nothing is read back from the device.

    Args:
        scores: (..., N, C), this process's samples against the prototypes; further dimensions are problems of their
            own.
        epsilon: Weight of the entropy, > 0; the larger, the softer the codes.
        iterations: Number of iterations, at least 1.
        weights: (N,), how much a sample counts in the prototypes' mass, such as 0 for one that is to be left out; None
            counts all as 1.

    Returns:
        (..., N, C), rows sum to 1.
    """
    q = torch.exp((scores - max_over_processes(scores.amax(dim=-2, keepdim=True))) / epsilon)
    for _ in range(iterations):
        counted = q if weights is None else q * weights.to(q.dtype)[:, None]
        q = q / sum_over_processes(counted.sum(dim=-2, keepdim=True))  # (..., 1, C)
        q = q / q.sum(dim=-1, keepdim=True)  # (..., N, 1)
    return q
