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
    """The ``k`` rows of ``bank`` with the largest cosine similarity to each query, the nearest first.

    Args:
        queries: (N, D), any scale and floating type.
        bank: (B, D).
        k: Neighbours per query; the whole bank where it holds fewer.
        chunk_size: Queries compared at a time; bounds the memory to ``chunk_size`` x B similarities.

    Returns:
        Similarities (N, k) in [-1, 1] and rows of the bank (N, k) int64.

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

    It orders the classes as their votes, the sums of exp(similarity / T), do, and stays finite at every temperature,
    where a vote overflows (exp(1 / T) exceeds float32 below T = 0.0113).

    Args:
        similarities: (N, k) in [-1, 1].
        labels: (N, k) int64, the neighbours' classes.
        temperature: T > 0; smaller trusts the nearest more.
        num_classes: C.

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


def weighted_knn_votes(
    queries: Tensor, bank: Tensor, bank_labels: Tensor, *, k: int = 20, temperature: float = 0.07, num_classes: int
) -> Tensor:
    """Votes of the ``k`` nearest rows of the bank by cosine similarity, as in DINO (arXiv:2104.14294, App. F.1).

    A vote is the sum of exp(similarity / T) over the neighbours of a class. It can overflow where T is below 0.012
    (float32); ``class_similarities``, which ``WeightedKNN`` uses, orders the classes alike and cannot.

    Args:
        queries: (N, D).
        bank: (B, D).
        bank_labels: (B,) int64 in [0, C).
        k: Neighbours that vote.
        temperature: T > 0.
        num_classes: C.

    Returns:
        (N, C) votes; the class with most is the prediction.
    """
    similarities, rows = nearest_neighbours(queries, bank, k)
    scores = class_similarities(similarities, bank_labels[rows], temperature=temperature, num_classes=num_classes)
    return (scores / temperature).exp()


@METRICS.register_module()
class WeightedKNN:
    """Top-1 and top-5 accuracy of the weighted vote of the nearest training images, per cent.

    Logged as ``knn_top1`` and ``knn_top5``; with several ``k`` the first has these names and the others carry a
    suffix, ``knn_top1_k100``. Top-5 with fewer than five neighbours counts the ``k`` best classes, as DINO does.

    Args:
        k: Neighbours that vote, one number or several.
        temperature: A neighbour's vote is exp(similarity / temperature); positive.

    Raises:
        ValueError: There is no ``k``, one is less than 1, or the temperature is not positive.
    """

    def __init__(self, k: int | Sequence[int] = 20, temperature: float = 0.07) -> None:
        self.k = [k] if isinstance(k, int) else list(k)
        if not self.k or min(self.k) < 1:
            raise ValueError(f'k must be at least 1, got {k}; DINO uses 20')
        _check_temperature(temperature)
        self.temperature = temperature

    @property
    def result_names(self) -> list[str]:
        """The keys of the results."""
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
