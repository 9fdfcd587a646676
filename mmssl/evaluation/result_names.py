"""The names of the results of an evaluation, known before it runs."""

from __future__ import annotations

from typing import Any

_COCO = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
_IOU: dict[str, tuple[str, ...]] = {'mIoU': ('aAcc', 'mIoU', 'mAcc'), 'mDice': ('aAcc', 'mDice', 'mAcc')}
_IOU['mFscore'] = ('aAcc', 'mFscore', 'mPrecision', 'mRecall')


def result_names(evaluator: Any) -> list[str] | None:
    """Returns the names of the results of an evaluator, None if the names of a metric are not known.

    Args:
        evaluator: Evaluator with ``result_names`` or ``metrics``. Metrics of mmssl have ``result_names``; the names of
            mmdet's ``CocoMetric`` and ``VOCMetric`` and mmseg's ``IoUMetric`` are built in.
    """
    own = getattr(evaluator, 'result_names', None)
    if own is not None:
        return list(own)
    names: list[str] = []
    for metric in getattr(evaluator, 'metrics', ()):
        found = getattr(metric, 'result_names', None)
        found = _of_openmmlab(metric) if found is None else found
        if found is None:
            return None
        names += found
    return names or None


def _of_openmmlab(metric: Any) -> list[str] | None:
    kind, prefix = type(metric).__name__, getattr(metric, 'prefix', None)
    names: list[str] = []
    if kind == 'CocoMetric' and not getattr(metric, 'classwise', False):
        for name in metric.metrics:
            if name in ('bbox', 'segm'):
                items = getattr(metric, 'metric_items', None)
                names += [f'{name}_{item}' for item in (_COCO if items is None else items)]
            else:
                return None
    elif kind == 'IoUMetric':
        for name in metric.metrics:
            names += _IOU.get(name, ())
    elif kind == 'VOCMetric' and metric.metric == 'mAP':
        names += ['mAP', *(f'AP{int(threshold * 100):02d}' for threshold in metric.iou_thrs)]
    else:
        return None
    return [f'{prefix}/{name}' if prefix else name for name in dict.fromkeys(names)]
