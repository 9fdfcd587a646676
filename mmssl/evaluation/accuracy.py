"""Accuracy of a classifier on a dataset."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.dist import broadcast_object_list
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch.utils.data import DataLoader

from mmssl.evaluation.extract import Features, extract_features
from mmssl.evaluation.weighted_knn import top_accuracy
from mmssl.registry import EVALUATORS, LOOPS


@EVALUATORS.register_module()
class AccuracyEvaluator:
    """Per cent of the labelled images whose label is among the n classes with the highest logits: ``top1``, ``top5``.

    Args:
        num_best: The numbers n.
    """

    def __init__(self, num_best: Sequence[int] = (1, 5)) -> None:
        self.num_best = tuple(num_best)

    @property
    def result_names(self) -> list[str]:
        """The keys of the results."""
        return [f'top{number}' for number in self.num_best]

    def evaluate(self, logits: Features) -> dict[str, float]:
        """Returns the accuracies.

        Args:
            logits: ``vectors`` (N, C) are the logits.

        Raises:
            ValueError: A logit is not finite, or no image has a label.
        """
        if not logits.vectors.isfinite().all():
            raise ValueError('a logit is NaN or infinite: the weights diverged or were loaded wrongly')
        logits = logits.labelled()
        return {f'top{number}': top_accuracy(logits.vectors, logits.labels, number) for number in self.num_best}


class _AccuracyLoop(BaseLoop):
    """Classifies every image of a dataset once and evaluates on the main process.

    Training is not disturbed: modes and random state are restored.

    Args:
        runner: The runner; its model has ``predict``.
        dataloader: Config of the dataloader, or the dataloader.
        evaluator: Config of an ``AccuracyEvaluator``, or the evaluator.
        dtype: 'bfloat16' or 'float16' classifies under autocast.
    """

    stage: str

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: AccuracyEvaluator | dict,
        dtype: str | None = None,
    ) -> None:
        super().__init__(runner, dataloader)
        self.evaluator = EVALUATORS.build(evaluator) if isinstance(evaluator, dict) else evaluator
        self.dtype = dtype

    def run(self) -> dict[str, float]:
        """Classifies, evaluates, and returns the same results in every process."""
        runner = self.runner
        runner.call_hook(f'before_{self.stage}')
        runner.call_hook(f'before_{self.stage}_epoch')
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        description = 'images' if self.stage == 'test' else None  # a training has its own bar
        logits = extract_features(
            model, self.dataloader, feature=model.predict, dtype=self.dtype, description=description
        )
        results = [self.evaluator.evaluate(logits) if logits is not None else None]
        broadcast_object_list(results)
        runner.call_hook(f'after_{self.stage}_epoch', metrics=results[0])
        runner.call_hook(f'after_{self.stage}')
        return results[0]


@LOOPS.register_module()
class AccuracyValLoop(_AccuracyLoop):
    """Evaluates a classifier while it trains; see ``_AccuracyLoop`` for the arguments."""

    stage = 'val'


@LOOPS.register_module()
class AccuracyTestLoop(_AccuracyLoop):
    """Evaluates the classifier of a checkpoint; see ``_AccuracyLoop`` for the arguments."""

    stage = 'test'
