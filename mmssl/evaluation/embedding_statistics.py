"""Statistics of embeddings that show a collapse, without labels."""

from __future__ import annotations

import logging

import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.nn import functional as F

from mmssl.evaluation.extract import Features
from mmssl.registry import METRICS


def feature_std(vectors: Tensor) -> Tensor:
    """Standard deviation of each dimension of the unit-length embeddings (SimSiam, arXiv:2011.10566, Sec. 4.1).

    Args:
        vectors: (N, D).

    Returns:
        (D,): 0 if every image has the same embedding, 1 / sqrt(D) if the directions are isotropic.
    """
    return F.normalize(vectors).std(dim=0, correction=0)


def rankme(vectors: Tensor, eps: float = 1e-7) -> Tensor:
    """Effective rank: exp of the entropy of the normalised singular values (RankMe, arXiv:2210.02885, Eq. 1-2).

    The singular values are the roots of the eigenvalues of the smaller Gram matrix in float64. This costs a fraction of
    a singular value decomposition and is exact to about 1e-8 of the largest value.

    Args:
        vectors: (N, D), neither centred nor scaled.
        eps: Number that is added to each share, as in the paper.

    Returns:
        Scalar between 1 (all embeddings on one line) and min(N, D).
    """
    tall = (vectors if vectors.shape[0] >= vectors.shape[1] else vectors.T).double()
    singular = torch.linalg.eigvalsh(tall.T @ tall).clamp(min=0).sqrt()
    share = singular / singular.sum().clamp(min=eps) + eps
    return (-(share * share.log()).sum()).exp()


def alignment(vectors: Tensor, labels: Tensor) -> Tensor:
    """Mean squared distance of unit-length embeddings over pairs of the same class (arXiv:2005.10242, Eq. 7, a = 2).

    The positive pairs in the paper are two views of an image. Here they are pairs of images that share a label, so that
    evaluation needs no augmentation. To get the paper's number, stack two views and label every image with its own
    number.

    Args:
        vectors: (N, D).
        labels: (N,) int64.

    Returns:
        Scalar in [0, 4]: 0 if every class is one point, NaN if no two images share a label.
    """
    vectors = F.normalize(vectors.double())
    classes, members = labels.unique(return_inverse=True)
    sums = vectors.new_zeros(len(classes), vectors.shape[1]).index_add_(0, members, vectors)
    counts = torch.bincount(members)
    lengths = vectors.new_zeros(len(classes)).index_add_(0, members, vectors.square().sum(1))
    num_pairs = (counts * (counts - 1)).sum()
    distances = 2 * (counts * lengths - sums.square().sum(1))  # over ordered pairs of images of a class
    return distances[counts > 1].sum() / num_pairs


def uniformity(vectors: Tensor, chunk_size: int = 1024) -> Tensor:
    """log of the mean of exp(-2 |x - y|^2) over pairs of different images (arXiv:2005.10242, Eq. 8, t = 2).

    Args:
        vectors: (N, D), N >= 2.
        chunk_size: Number of rows that are compared with all others at a time.

    Returns:
        Scalar <= 0: 0 if every image has the same embedding, lower the more evenly the embeddings cover the sphere.
    """
    vectors = F.normalize(vectors.double())
    size, lengths = len(vectors), vectors.square().sum(1)  # 1, but 0 for a vector of zeros
    total = sum(
        (4 * (chunk @ vectors.T) - 2 * (chunk.square().sum(1, keepdim=True) + lengths)).exp().sum()
        for chunk in vectors.split(chunk_size)
    )
    return ((total - size) / (size * (size - 1))).log()  # each image with itself contributes exp(0) = 1


@METRICS.register_module()
class EmbeddingStatistics:
    """Measures spread, effective rank, alignment and uniformity of the query embeddings and warns of a collapse.

    The results are ``embedding_std`` (mean of ``feature_std`` times sqrt(D): 0 collapsed, 1 isotropic), ``rankme``,
    ``uniformity`` and, if images share labels, ``alignment``.

    Args:
        min_std: Smallest ``embedding_std``; below it the warning says complete collapse.
        min_rank: Smallest ``rankme``; below it the warning says dimensional collapse. None means 2 % of the largest
            possible rank, at least 1.5.
        max_samples: Largest number of images that are compared, spread evenly over the dataset.

    Raises:
        ValueError: Fewer than two images would be compared.
    """

    needs_labels = False
    min_queries = 2
    result_names = ('embedding_std', 'rankme', 'uniformity', 'alignment')

    def __init__(self, min_std: float = 0.01, min_rank: float | None = None, max_samples: int = 8192) -> None:
        if max_samples < 2:
            raise ValueError(f'max_samples must be at least 2, got {max_samples}')
        self.min_std = min_std
        self.min_rank = min_rank
        self.max_samples = max_samples

    def __call__(self, bank: Features, queries: Features) -> dict[str, float]:
        if len(queries) < 2:
            raise ValueError('EmbeddingStatistics compares images with each other: evaluate at least two, got one')
        rows = torch.linspace(0, len(queries) - 1, min(len(queries), self.max_samples)).long()
        sample = queries.select(rows.to(queries.labels.device))
        width = sample.vectors.shape[1]
        results = dict(
            embedding_std=feature_std(sample.vectors).mean().item() * width**0.5,
            rankme=rankme(sample.vectors).item(),
            uniformity=uniformity(sample.vectors).item(),
        )
        labelled = sample.select(sample.labels >= 0)
        if len(labelled) > len(labelled.labels.unique()):
            results['alignment'] = alignment(labelled.vectors, labelled.labels).item()
        self._warn(results['embedding_std'], results['rankme'], max_rank=min(len(sample), width))
        return results

    def _warn(self, std: float, rank: float, max_rank: int) -> None:
        min_rank = self.min_rank if self.min_rank is not None else max(1.5, 0.02 * max_rank)
        if std < self.min_std:
            message = (
                f'complete collapse: every image has nearly the same embedding (embedding_std {std:.4f} < '
                f'{self.min_std}). Likely cause: nothing holds embeddings apart (no negatives, or a predictor or '
                'stop-gradient is missing), or the learning rate is too high for this batch size.'
            )
        elif rank < min_rank:
            message = (
                f'dimensional collapse: embeddings fill {rank:.1f} of {max_rank} dimensions (rankme < {min_rank:.1f}). '
                'Likely cause: a projector without normalisation or too narrow, a temperature that is too high, too '
                'few negatives, or augmentation so strong or so weak that one cue such as colour solves the task.'
            )
        else:
            return
        print_log(message, logger='current', level=logging.WARNING)
