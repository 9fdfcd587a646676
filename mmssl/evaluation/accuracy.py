"""Accuracy of a classifier on a dataset."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mmssl.evaluation.extract import Features
from mmssl.registry import EVALUATORS


@EVALUATORS.register_module()
class AccuracyEvaluator:
    """Computes top-n accuracies of logits in per cent, ``top1`` and ``top5`` for instance.

    The top-n accuracy is the share of the labelled images whose label is among the n classes with the highest logits.

    Args:
        num_best: Numbers n.

    Raises:
        ValueError: ``num_best`` is empty or holds a number less than 1.
    """

    needs_labels = True

    def __init__(self, num_best: Sequence[int] = (1, 5)) -> None:
        self.num_best = tuple(num_best)
        if not self.num_best or min(self.num_best) < 1:
            raise ValueError(f'num_best must hold one or more numbers of at least 1, got {list(num_best)}')

    @property
    def result_names(self) -> list[str]:
        """Keys of the results."""
        return [f'top{number}' for number in self.num_best]

    def evaluate(self, logits: Features) -> dict[str, float]:
        """Returns the accuracies in per cent.

        Args:
            logits: Labelled images whose ``vectors`` (N, C) are the logits.

        Raises:
            ValueError: A logit is not finite, no image has a label, or a label is no output of the classifier.
        """
        if not logits.vectors.isfinite().all():
            raise ValueError(
                'a logit is NaN or infinite: the weights diverged or the checkpoint was loaded into the wrong model'
            )
        logits = logits.labelled()
        highest, number = int(logits.labels.max()), logits.vectors.shape[1]
        if highest >= number:
            raise ValueError(
                f'an image has the label {highest}, and the classifier has {number} outputs, 0 to {number - 1}: number '
                'the classes of these images as in training'
            )
        return {f'top{number}': top_accuracy(logits.vectors, logits.labels, number) for number in self.num_best}


def top_accuracy(scores: Tensor, labels: Tensor, num_best: int = 1) -> float:
    """Returns the per cent of rows whose label is among the ``num_best`` classes with the highest scores.

    Args:
        scores: (N, C).
        labels: (N,) int64.
        num_best: Number of classes; with fewer classes all of them count.
    """
    best = scores.topk(min(num_best, scores.shape[1])).indices
    return 100 * (best == labels[:, None]).any(1).double().mean().item()
