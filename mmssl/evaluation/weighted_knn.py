"""Weighted nearest-neighbour classification of embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mmssl.evaluation.accuracy import top_accuracy
from mmssl.evaluation.extract import Features, number_classes
from mmssl.registry import METRICS


def nearest_neighbours(queries: Tensor, bank: Tensor, k: int, chunk_size: int = 1024) -> tuple[Tensor, Tensor]:
    """Finds the ``k`` rows of ``bank`` with the largest cosine similarity to each query, the nearest first.

    Args:
        queries: (N, D) of any length and floating-point dtype.
        bank: (B, D).
        k: Number of neighbours per query; a smaller bank gives all its rows.
        chunk_size: Number of queries that are compared at a time; memory is bounded by ``chunk_size`` x B similarities.

    Returns:
        Similarities (N, k) in [-1, 1] and row numbers of the bank (N, k) int64.

    Raises:
        ValueError: ``k`` is less than 1.
    """
    if k < 1:
        raise ValueError(f'k must be at least 1, got {k}')
    bank = F.normalize(bank)
    found = [(chunk @ bank.T).topk(min(k, len(bank))) for chunk in F.normalize(queries).split(chunk_size)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def class_similarities(similarities: Tensor, labels: Tensor, *, temperature: float, num_classes: int) -> Tensor:
    """Soft maximum of the neighbours' similarities per class: T log sum exp(similarity / T).

    The order of the classes is that of the votes in DINO, the sums of exp(similarity / T), because the logarithm is
    monotone. The soft maximum is finite at every temperature, whereas a vote overflows float32 below T = 0.0113.

    Args:
        similarities: (N, k) in [-1, 1].
        labels: Classes of the neighbours, (N, k) int64 in [0, C).
        temperature: Temperature T > 0; a lower one gives the nearest neighbours more weight.
        num_classes: Number of classes C.

    Returns:
        (N, C), minus infinity for a class without a neighbour.

    Raises:
        ValueError: The temperature is not positive and finite.
    """
    _check_temperature(temperature)
    largest = similarities.new_full((len(similarities), num_classes), -torch.inf)
    largest.scatter_reduce_(1, labels, similarities, 'amax')
    shares = torch.zeros_like(largest)
    shares.scatter_add_(1, labels, ((similarities - largest.gather(1, labels)) / temperature).exp())
    return largest + temperature * shares.log()


def _check_temperature(temperature: float) -> None:
    if not 0 < temperature < torch.inf:
        raise ValueError(f'temperature must be positive and finite, got {temperature}; DINO uses 0.07')


@METRICS.register_module()
class WeightedKNN:
    """Top-1 and top-5 accuracy of weighted kNN classification in per cent (DINO, arXiv:2104.14294, App. F.1).

    The results are ``knn_top1`` and ``knn_top5``. With several ``k`` these names belong to the first, and the others
    have a suffix such as ``knn_top1_k100``. With fewer than five neighbours, top-5 counts the ``k`` best classes, as in
    DINO.

    Args:
        k: Number of neighbours that vote, or several such numbers.
        temperature: Temperature T > 0; a neighbour's vote is exp(similarity / T).

    Raises:
        ValueError: ``k`` is empty or less than 1, or the temperature is not positive.
    """

    needs_labels = True

    def __init__(self, k: int | Sequence[int] = 20, temperature: float = 0.07) -> None:
        self.k = [k] if isinstance(k, int) else list(k)
        if not self.k or min(self.k) < 1:
            raise ValueError(f'k must be at least 1, got {k}; DINO uses 20')
        _check_temperature(temperature)
        self.temperature = temperature

    @property
    def result_names(self) -> list[str]:
        """Keys of the results."""
        suffixes = [f'_k{k}' if position else '' for position, k in enumerate(self.k)]
        return [f'knn_top{best}{suffix}' for suffix in suffixes for best in (1, 5)]

    def __call__(self, bank: Features, queries: Features) -> dict[str, float]:
        bank, queries, num_classes = number_classes(bank, queries)
        similarities, rows = nearest_neighbours(queries.vectors, bank.vectors, max(self.k))
        neighbour_labels = bank.labels[rows]
        results = {}
        for position, k in enumerate(self.k):
            scores = class_similarities(
                similarities[:, :k], neighbour_labels[:, :k], temperature=self.temperature, num_classes=num_classes
            )
            suffix = f'_k{k}' if position else ''
            results[f'knn_top1{suffix}'] = top_accuracy(scores, queries.labels)
            results[f'knn_top5{suffix}'] = top_accuracy(scores, queries.labels, min(5, k))
        return results
