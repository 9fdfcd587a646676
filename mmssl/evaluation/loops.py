"""Loops that evaluate embeddings and classifiers, during training and afterwards."""

from __future__ import annotations

from typing import Any

from mmengine.dist import broadcast_object_list
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch.utils.data import DataLoader

from mmssl.config.dtypes import read_dtype
from mmssl.datasets.class_numbers import share_classes
from mmssl.distributed.unwrap import unwrap
from mmssl.evaluation.accuracy import AccuracyEvaluator
from mmssl.evaluation.embedding_evaluator import EmbeddingEvaluator
from mmssl.evaluation.extract import extract_features
from mmssl.evaluation.start_checks import check_labels, check_metrics
from mmssl.registry import EVALUATORS, LOOPS


class _EmbeddingLoop(BaseLoop):
    """Extracts the features of bank and queries and evaluates them on the main process.

    Modes and random state are restored, so the loop does not change the training after it. The loop calls the hooks
    before and after an epoch but not those of an iteration, because hooks count iterations of training or validation.

    Args:
        runner: Runner of the experiment.
        dataloader: Dataloader of the queries (test images), or its config.
        evaluator: ``EmbeddingEvaluator``, or its config.
        bank_dataloader: Dataloader of the bank (training images without augmentation, from which the metrics learn), or
            its config.
        dtype: ``'bfloat16'`` or ``'float16'`` runs the model under autocast; None uses the dtype of its weights.

    Raises:
        UserError: The datasets lack what a metric needs, see ``check_metrics``.
    """

    stage: str
    shows_progress: bool

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: EmbeddingEvaluator | dict,
        bank_dataloader: DataLoader | dict,
        dtype: str | None = None,
    ) -> None:
        super().__init__(runner, dataloader)
        bank: Any = bank_dataloader
        if isinstance(bank, dict):
            bank = runner.build_dataloader(bank, seed=runner.seed)
        self.bank_dataloader = bank
        learned = getattr(bank.dataset, 'classes', None)
        share_classes(learned, self.dataloader.dataset, f'{self.stage}_dataloader.dataset')
        self.evaluator = runner.build_evaluator(evaluator) if isinstance(evaluator, dict) else evaluator
        check_metrics(
            getattr(self.evaluator, 'metrics', ()),
            (f'{self.stage}_cfg.bank_dataloader.dataset', bank.dataset),
            (f'{self.stage}_dataloader.dataset', self.dataloader.dataset),
        )
        self.dtype = read_dtype(dtype)

    def run(self) -> dict[str, float]:
        """Extracts the features, evaluates them, and returns the same results in every process."""
        runner = self.runner
        runner.call_hook(f'before_{self.stage}')
        runner.call_hook(f'before_{self.stage}_epoch')
        results = self.evaluate()
        runner.call_hook(f'after_{self.stage}_epoch', metrics=results)
        runner.call_hook(f'after_{self.stage}')
        return results

    def evaluate(self) -> dict[str, float]:
        """Evaluates like ``run``, but calls no hooks, so nothing is logged or saved."""
        bank, queries = (
            extract_features(
                self.runner.model, loader, dtype=self.dtype, description=name if self.shows_progress else None
            )
            for name, loader in (('bank', self.bank_dataloader), ('queries', self.dataloader))
        )
        results: list[Any] = [
            self.evaluator.evaluate(bank, queries) if bank is not None and queries is not None else None
        ]
        broadcast_object_list(results)
        return results[0]


@LOOPS.register_module()
class EmbeddingValLoop(_EmbeddingLoop):
    """Evaluates embeddings during pre-training; see ``_EmbeddingLoop`` for the arguments."""

    stage = 'val'
    shows_progress = False  # a training run shows its own progress bar


@LOOPS.register_module()
class EmbeddingTestLoop(_EmbeddingLoop):
    """Evaluates the embeddings of a checkpoint; see ``_EmbeddingLoop`` for the arguments."""

    stage = 'test'
    shows_progress = True


class _AccuracyLoop(BaseLoop):
    """Classifies every image of a dataset once and evaluates on the main process.

    Modes and random state are restored, so the loop does not change the training after it.

    Args:
        runner: Runner whose model has ``predict``.
        dataloader: Dataloader of the test images, or its config.
        evaluator: ``AccuracyEvaluator``, or its config.
        dtype: ``'bfloat16'`` or ``'float16'`` runs the model under autocast; None uses the dtype of its weights.

    Raises:
        UserError: The evaluator needs labels, and no image has one.
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
        if getattr(self.evaluator, 'needs_labels', False):
            check_labels(self.dataloader.dataset, f'{self.stage}_dataloader.dataset', type(self.evaluator).__name__)
        self.dtype = read_dtype(dtype)

    def run(self) -> dict[str, float]:
        """Classifies the images, evaluates, and returns the same results in every process."""
        runner = self.runner
        runner.call_hook(f'before_{self.stage}')
        runner.call_hook(f'before_{self.stage}_epoch')
        model = unwrap(runner.model)
        description = 'images' if self.stage == 'test' else None  # a training run shows its own progress bar
        logits = extract_features(
            model, self.dataloader, feature=model.predict, dtype=self.dtype, description=description
        )
        results: list[Any] = [self.evaluator.evaluate(logits) if logits is not None else None]
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
