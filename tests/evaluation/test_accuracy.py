"""Accuracies of logits."""

from __future__ import annotations

import pytest
import torch

from mmssl.evaluation.accuracy import AccuracyEvaluator
from mmssl.evaluation.extract import Features


def test_top_accuracies_of_the_labelled_images():
    logits = torch.eye(4)[[0, 1, 2, 3, 0]] + torch.tensor([0.0, 0.3, 0.2, 0.1])
    features = Features(logits, torch.tensor([0, 1, 1, 1, -1]), torch.arange(5))
    assert AccuracyEvaluator((1, 2)).evaluate(features) == dict(top1=50.0, top2=100.0)
    assert AccuracyEvaluator().evaluate(features)['top5'] == 100.0


def test_what_cannot_be_evaluated():
    with pytest.raises(ValueError, match='NaN'):
        AccuracyEvaluator().evaluate(Features(torch.full((2, 3), torch.nan), torch.tensor([0, 1]), torch.arange(2)))
    with pytest.raises(ValueError, match=r'num_best must hold one or more numbers of at least 1, got \[1, 0\]'):
        AccuracyEvaluator(num_best=[1, 0])
    logits = Features(torch.zeros(2, 3), torch.tensor([1, 3]), torch.arange(2))
    with pytest.raises(ValueError, match='an image has the label 3, and the classifier has 3 outputs, 0 to 2'):
        AccuracyEvaluator().evaluate(logits)
    with pytest.raises(ValueError, match='none of the 2 images has a label'):
        AccuracyEvaluator().evaluate(Features(torch.zeros(2, 3), torch.tensor([-1, -1]), torch.arange(2)))
