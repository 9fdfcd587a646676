"""A run finds out before it trains that its images have no labels, or are too few, for a metric."""

from types import SimpleNamespace

import pytest
from torch.utils.data import Dataset

from mmssl.evaluation.accuracy import AccuracyEvaluator
from mmssl.evaluation.embedding_statistics import EmbeddingStatistics
from mmssl.evaluation.loops import AccuracyValLoop, EmbeddingValLoop
from mmssl.evaluation.start_checks import check_labels, check_metrics
from mmssl.evaluation.weighted_knn import WeightedKNN
from mmssl.utils.errors import UserError


class Labels(Dataset):
    def __init__(self, *labels: int) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def label(self, index: int) -> int:
        return self.labels[index]


def test_one_label_is_enough() -> None:
    check_metrics([WeightedKNN(), EmbeddingStatistics()], ('bank', Labels(-1, 3)), ('val', Labels(0, -1)))
    check_labels([1, 2], 'a dataset without label()', 'kNN')


@pytest.mark.parametrize(
    ('bank', 'queries', 'message'),
    [
        (Labels(-1, -1), Labels(0, 1), 'bank has no labels, which are needed by WeightedKNN: .*EmbeddingStatistics'),
        (Labels(0, 1), Labels(-1, -1), 'val has no labels'),
        (Labels(0, 1), Labels(0), 'EmbeddingStatistics needs 2 images or more, and val holds 1'),
    ],
)
def test_what_a_metric_lacks_is_named(bank: Labels, queries: Labels, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_metrics([WeightedKNN(), EmbeddingStatistics()], ('bank', bank), ('val', queries))


def test_metrics_of_a_plugin_need_nothing() -> None:
    check_metrics([lambda bank, queries: {}], ('bank', Labels(-1)), ('val', Labels(-1)))


def test_loops_check_when_they_are_built() -> None:
    runner, loader = SimpleNamespace(seed=0), SimpleNamespace(dataset=Labels(-1, -1))
    evaluator = SimpleNamespace(metrics=[WeightedKNN()])
    with pytest.raises(UserError, match=r'val_cfg\.bank_dataloader\.dataset has no labels'):
        EmbeddingValLoop(runner, loader, evaluator, loader)
    with pytest.raises(UserError, match=r'val_dataloader\.dataset has no labels.*needed by AccuracyEvaluator'):
        AccuracyValLoop(runner, loader, AccuracyEvaluator())
