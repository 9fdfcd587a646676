"""Applies metrics to the embeddings of two datasets, a bank and queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mmssl.evaluation.extract import Features
from mmssl.registry import EVALUATORS, METRICS

Metric = Callable[[Features, Features], dict[str, float]]


@EVALUATORS.register_module()
class EmbeddingEvaluator:
    """Calls every metric with the features of the bank and of the queries and merges the results.

    A metric is a callable ``(bank, queries) -> dict[str, float]`` that is registered in ``METRICS``. Its
    attributes ``needs_labels`` and ``min_queries`` are optional, see ``check_metrics``.

    Args:
        metrics: Configs of the metrics, or the metrics themselves.
        device: Device on which the metrics compute; None means the current GPU, or the CPU if there is no GPU.

    Raises:
        ValueError: ``metrics`` is empty.
    """

    def __init__(self, metrics: Sequence[dict | Metric], device: str | None = None) -> None:
        if not metrics:
            raise ValueError("metrics is empty: name at least one, such as dict(type='WeightedKNN')")
        self.metrics = [METRICS.build(metric) if isinstance(metric, dict) else metric for metric in metrics]
        self.device = device or ('cuda' if torch.cuda.is_available() else 'cpu')

    @torch.no_grad()
    def evaluate(self, bank: Features, queries: Features) -> dict[str, float]:
        """Returns the merged results of all metrics.

        Args:
            bank: Features of the training images without augmentation, from which metrics learn.
            queries: Features of the test images, which metrics classify or describe.

        Raises:
            ValueError: A feature is not finite, or two metrics return the same name.
        """
        for name, features in (('bank', bank), ('queries', queries)):
            features.check_finite(name)
        bank, queries = bank.to(self.device), queries.to(self.device)
        results: dict[str, float] = {}
        for metric in self.metrics:
            for key, value in metric(bank, queries).items():
                if key in results:
                    raise ValueError(f'two metrics return {key!r}; configure one of each kind')
                results[key] = value
        return results
