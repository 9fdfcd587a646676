"""Contrast of an embedding with rows of a memory bank: InfoNCE, and noise-contrastive estimation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mmssl.models.losses.numerics import check_temperature, in_full_precision
from mmssl.registry import LOSSES

_EPS = 2**-23  # float32's epsilon, as in the official code


@in_full_precision
def memory_similarities(embeddings: Tensor, bank: Tensor, own: Tensor, negatives: Tensor) -> Tensor:
    """Returns the cosine similarities of embeddings to their own row and to their negatives.

    It is one product with the whole bank, and a selection. Copying the rows for 256 images with 65,536 negatives each
    would take 8 GiB, the product with ImageNet's bank takes 1.2 GiB.

    Args:
        embeddings: (N, D); they need not be normalised.
        bank: (L, D), unit rows.
        own: (N,) int64, row of each image.
        negatives: (N, K) int64, rows of its negatives.

    Returns:
        (N, 1 + K), the own row first.
    """
    similarities = normalize(embeddings, dim=1) @ bank.to(embeddings.dtype).T  # (N, L)
    return similarities.gather(1, torch.cat([own[:, None], negatives], dim=1))


@in_full_precision
def memory_info_nce(similarities: Tensor, temperature: float) -> Tensor:
    """InfoNCE: the own row is classified among the negatives.

    Args:
        similarities: (N, 1 + K), see ``memory_similarities``.
        temperature: Divisor of the similarities, > 0.

    Returns:
        Scalar, mean over the images; ln(1 + K) if all similarities are equal.
    """
    return cross_entropy(similarities / temperature, torch.zeros_like(similarities[:, 0], dtype=torch.long))


@in_full_precision
def memory_nce(similarities: Tensor, temperature: float, length: int, partition: Tensor) -> Tensor:
    """Noise-contrastive estimation (Wu et al., 2018, arXiv:1805.01978, Eq. 7 and 8).

    With ``p = exp(s / temperature) / partition`` and noise that draws each of L rows with probability 1 / L, the own
    row has to be recognised as data, ``p / (p + K / L)``, and each negative as noise, ``(K / L) / (p + K / L)``.

    Args:
        similarities: (N, 1 + K), see ``memory_similarities``.
        temperature: Divisor of the similarities, > 0.
        length: Number L of rows of the bank.
        partition: Constant Z, a scalar, that makes p about a distribution over the bank.

    Returns:
        Scalar: sum over the own row and the K negatives, mean over the images.
    """
    noise = (similarities.shape[1] - 1) / length
    probabilities = torch.exp(similarities / temperature) / partition
    data, others = probabilities[:, 0], probabilities[:, 1:]
    own = torch.log(data / (data + noise + _EPS))
    rejected = torch.log(noise / (others + noise + _EPS)).sum(dim=1)
    return -(own + rejected).mean()


@LOSSES.register_module()
class MemoryContrastLoss(nn.Module):
    """Contrast with a memory bank, see ``memory_info_nce`` and ``memory_nce``.

    Args:
        temperature: Divisor of the cosine similarities.
        kind: ``'info_nce'`` (NPID of OpenSelfSup) or ``'nce'`` (PIRL, and the paper of NPID).

    Raises:
        ValueError: ``temperature`` is not positive, or ``kind`` is unknown.
    """

    def __init__(self, temperature: float = 0.07, kind: str = 'info_nce') -> None:
        super().__init__()
        check_temperature(temperature)
        if kind not in ('info_nce', 'nce'):
            raise ValueError(f"kind must be 'info_nce' or 'nce', got {kind!r}")
        self.temperature, self.kind = temperature, kind

    def forward(self, similarities: Tensor, length: int, partition: Tensor) -> Tensor:
        """Returns the loss, a scalar, of similarities (N, 1 + K); InfoNCE does not use the last two arguments."""
        if self.kind == 'info_nce':
            return memory_info_nce(similarities, self.temperature)
        return memory_nce(similarities, self.temperature, length, partition)
