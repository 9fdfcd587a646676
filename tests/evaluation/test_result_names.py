"""Results that a hook chooses by are known before the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import EarlyStoppingHook

from mmssl.engine.agreement import check_watched_results
from mmssl.engine.hooks.checkpoint import CheckpointHook
from mmssl.evaluation.accuracy import AccuracyEvaluator
from mmssl.evaluation.embedding_evaluator import EmbeddingEvaluator
from mmssl.evaluation.extract import Features
from mmssl.evaluation.result_names import result_names
from mmssl.utils.errors import UserError

METRICS = [
    dict(type='WeightedKNN', k=(2, 3)),
    dict(type='LinearProbe', labels_per_class=2, num_draws=1),
    dict(type='EmbeddingStatistics'),
]


def test_every_metric_says_what_it_returns() -> None:
    labels = torch.arange(16) % 2
    features = Features(torch.randn(16, 4), labels, torch.arange(16))
    evaluator = EmbeddingEvaluator(METRICS, device='cpu')
    assert set(result_names(evaluator)) == set(evaluator.evaluate(features, features))
    logits = Features(torch.randn(16, 2), labels, torch.arange(16))
    accuracy = AccuracyEvaluator((1, 2))
    assert result_names(accuracy) == list(accuracy.evaluate(logits)) == ['top1', 'top2']
    assert result_names(EmbeddingEvaluator([lambda bank, queries: {}])) is None


def test_metrics_of_mmdet_and_mmseg() -> None:
    coco = type('CocoMetric', (), dict(metrics=['bbox'], prefix='coco'))()
    assert 'coco/bbox_mAP' in result_names(SimpleNamespace(metrics=[coco]))
    coco.metric_items = ['AR@100', 'mAP']
    assert result_names(SimpleNamespace(metrics=[coco])) == ['coco/bbox_AR@100', 'coco/bbox_mAP']
    iou = type('IoUMetric', (), dict(metrics=['mIoU'], prefix=None))()
    assert result_names(SimpleNamespace(metrics=[iou])) == ['aAcc', 'mIoU', 'mAcc']
    voc = type('VOCMetric', (), dict(metric='mAP', iou_thrs=[0.5, 0.75], prefix='pascal_voc'))()
    names = ['pascal_voc/mAP', 'pascal_voc/AP50', 'pascal_voc/AP75']
    assert result_names(SimpleNamespace(metrics=[voc])) == names


def test_a_misspelt_result_is_found_before_the_run() -> None:
    loop = SimpleNamespace(evaluator=AccuracyEvaluator())
    check_watched_results([CheckpointHook(save_best='top1'), CheckpointHook(save_best='auto')], loop)
    with pytest.raises(
        UserError,
        match=r"save_best='top_1' is not a result of the validation, which returns top1, top5; did you mean 'top1'",
    ):
        check_watched_results([CheckpointHook(save_best='top_1', rule='greater')], loop)
    with pytest.raises(UserError, match="monitor='topp1'"):
        check_watched_results([EarlyStoppingHook(monitor='topp1', rule='greater')], loop)


def test_a_result_whose_best_value_is_not_known() -> None:
    with pytest.raises(UserError, match="rule='greater' or rule='less'"):
        CheckpointHook(save_best='rankme')


def test_a_result_that_no_metric_announced(tmp_path: Path) -> None:
    hook = CheckpointHook(save_best='scoer', rule='greater')
    with pytest.raises(
        UserError,
        match="save_best='scoer' is not a result of the validation, which returns score; did you mean 'score'",
    ):
        hook._save_best_checkpoint(SimpleNamespace(), dict(score=1.0))
