"""The evaluator merges metrics and refuses what cannot be meant."""

import pytest
import torch

from mmssl.evaluation.embedding_evaluator import EmbeddingEvaluator
from mmssl.evaluation.extract import Features


def features(value: float = 1.0) -> Features:
    return Features(torch.full((4, 2), value), torch.arange(4) % 2, torch.arange(4))


def test_results_of_all_metrics_are_merged() -> None:
    evaluator = EmbeddingEvaluator(
        [dict(type='WeightedKNN', k=1), lambda bank, queries: dict(count=float(len(bank) + len(queries)))], device='cpu'
    )
    assert set(evaluator.evaluate(features(), features())) == {'knn_top1', 'knn_top5', 'count'}


def test_equal_names_are_refused() -> None:
    evaluator = EmbeddingEvaluator([dict(type='WeightedKNN'), dict(type='WeightedKNN', k=5)], device='cpu')
    with pytest.raises(ValueError, match="'knn_top1'"):
        evaluator.evaluate(features(), features())


def test_no_metric_is_refused() -> None:
    with pytest.raises(ValueError, match='metrics is empty'):
        EmbeddingEvaluator([])


def test_diverged_embeddings_are_refused() -> None:
    evaluator = EmbeddingEvaluator([dict(type='WeightedKNN')], device='cpu')
    with pytest.raises(ValueError, match='4 of 4 embeddings of the queries are NaN'):
        evaluator.evaluate(features(), features(float('nan')))
    with pytest.raises(ValueError, match='4 of 4 embeddings of the bank are NaN'):
        evaluator.evaluate(features(float('inf')), features())
