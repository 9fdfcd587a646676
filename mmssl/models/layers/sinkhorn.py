"""Sinkhorn-Knopp normalisation: scores -> soft assignments with about equal use of every prototype."""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.distributed.collectives import max_over_processes, sum_over_processes
from mmssl.models.losses.numerics import in_full_precision

_LARGEST_EXPONENT = 50


@torch.no_grad()
@in_full_precision
def sinkhorn(
    scores: Tensor,
    epsilon: float | Tensor = 0.05,
    iterations: int = 3,
    weights: Tensor | None = None,
    eps: float = 0.0,
) -> Tensor:
    r"""Computes codes for the samples of all processes jointly (SwAV, arXiv:2006.09882, Eq. 3 to 5; Cuturi, 2013).

    ``q = exp(scores / epsilon)``; then, ``iterations`` times, every prototype's entries are divided by their sum over
    the samples of all processes, and every sample's entries by their sum over prototypes. So the code of each sample
    sums to 1 exactly, and the mass of each prototype approaches 1 / C of all samples. The result does not depend on the
    number of processes.

    The largest score of each prototype is subtracted first, so that nothing overflows: a constant per prototype
    cancels, whereas a constant per sample would not after few iterations. Samples of weight 0 do not count for it: if
    they did, all exponentials of the others could be 0. Without ``eps`` the first iteration runs in the log domain,
    because all exponentials of a sample far from every prototype are 0. The device is not synchronised.

    Args:
        scores: (..., N, C), scores of this process's samples for the prototypes; leading dimensions are independent
            problems. N may be 0 and may differ between processes.
        epsilon: Weight of the entropy, > 0; a larger weight gives softer codes.
        iterations: Number of iterations, at least 1.
        weights: (N,), weight of each sample in the mass of the prototypes, such as 0 to ignore a sample; None weights
            all samples with 1.
        eps: Number that is added to every sum, 1e-8 in CAPI. The largest score of each prototype is then 50 instead of
            0, so the first sums are far above it, and smaller exponentials stay above 0.

    Returns:
        Codes (..., N, C); rows sum to 1. With ``eps`` a row sums to 0 if all its exponentials are 0.
    """
    least = torch.finfo(scores.dtype).min
    floor = scores.new_full((*scores.shape[:-2], 1, scores.shape[-1]), least)
    counted = scores if weights is None else scores.masked_fill((weights == 0)[:, None], least)
    largest = counted.amax(dim=-2, keepdim=True) if scores.shape[-2] else floor  # a process may have no sample
    exponents = (scores - max_over_processes(largest)).div_(epsilon)
    if eps:
        q = exponents.add_(_LARGEST_EXPONENT).exp_()
    else:
        q = exponents.sub_(_masses(exponents.exp(), weights).log()).softmax(dim=-1)
    for _ in range(iterations if eps else iterations - 1):
        q = q / (_masses(q, weights) + eps)  # (..., 1, C)
        q = q / (q.sum(dim=-1, keepdim=True) + eps)  # (..., N, 1)
    return q


def _masses(q: Tensor, weights: Tensor | None) -> Tensor:
    """Returns the sum of the entries of each prototype over the samples of all processes, (..., 1, C)."""
    # The exponentials of a sample of weight 0 may be infinite, and infinity times 0 is no number.
    counted = q if weights is None else (q * weights.to(q.dtype)[:, None]).masked_fill((weights == 0)[:, None], 0)
    return sum_over_processes(counted.sum(dim=-2, keepdim=True))
