"""The loops that evaluate embeddings and classifiers, during a run and after it."""

from __future__ import annotations

from mmengine.dist import broadcast_object_list
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch.utils.data import DataLoader

from mmssl.datasets.class_numbers import share_classes
from mmssl.distributed.unwrap import unwrap
from mmssl.evaluation.accuracy import AccuracyEvaluator
from mmssl.evaluation.embedding_evaluator import EmbeddingEvaluator
from mmssl.evaluation.extract import extract_features
from mmssl.registry import EVALUATORS, LOOPS


class _EmbeddingLoop(BaseLoop):
    """Extracts bank and query features and evaluates them on the main process.

    Training is not disturbed: modes and random state are restored. The hooks around an epoch are called, those
    around an iteration are not, since an iteration of extraction is no event of the run.

    Args:
        runner: The runner.
        dataloader: Config of the queries' dataloader, or the dataloader.
        evaluator: Config of an ``EmbeddingEvaluator``, or the evaluator.
        bank_dataloader: Config of the dataloader of the images that metrics learn from, or the dataloader.
        dtype: 'bfloat16' or 'float16' extracts under autocast.
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
        if isinstance(bank_dataloader, dict):
            bank_dataloader = runner.build_dataloader(bank_dataloader, seed=runner.seed)
        self.bank_dataloader = bank_dataloader
        learned = getattr(bank_dataloader.dataset, 'classes', None)
        share_classes(learned, self.dataloader.dataset, f'{self.stage}_dataloader.dataset')
        self.evaluator = runner.build_evaluator(evaluator) if isinstance(evaluator, dict) else evaluator
        self.dtype = dtype

    def run(self) -> dict[str, float]:
        """Extracts, evaluates, and returns the same results in every process."""
        runner = self.runner
        runner.call_hook(f'before_{self.stage}')
        runner.call_hook(f'before_{self.stage}_epoch')
        bank, queries = (
            extract_features(runner.model, loader, dtype=self.dtype, description=name if self.shows_progress else None)
            for name, loader in (('bank', self.bank_dataloader), ('queries', self.dataloader))
        )
        results = [self.evaluator.evaluate(bank, queries) if bank is not None else None]
        broadcast_object_list(results)
        runner.call_hook(f'after_{self.stage}_epoch', metrics=results[0])
        runner.call_hook(f'after_{self.stage}')
        return results[0]


@LOOPS.register_module()
class EmbeddingValLoop(_EmbeddingLoop):
    """Evaluates embeddings during pre-training; see ``_EmbeddingLoop`` for the arguments."""

    stage = 'val'
    shows_progress = False  # the run has its own bar


@LOOPS.register_module()
class EmbeddingTestLoop(_EmbeddingLoop):
    """Evaluates the embeddings of a checkpoint; see ``_EmbeddingLoop`` for the arguments."""

    stage = 'test'
    shows_progress = True


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
        model = unwrap(runner.model)
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
