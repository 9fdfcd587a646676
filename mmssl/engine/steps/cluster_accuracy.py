"""Measures how well a classifier of clusters predicts the clusters of held-out images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmssl.converters.trained import load_trained
from mmssl.engine.stages import StepReport
from mmssl.engine.steps.frozen import dataset_or_problem, plain_loader, plain_transform
from mmssl.evaluation.accuracy import AccuracyEvaluator
from mmssl.evaluation.extract import extract_features
from mmssl.registry import STEPS
from mmssl.utils.errors import UserError


@STEPS.register_module()
class ClusterAccuracy:
    """Classifies held-out images into clusters and writes ``top1`` and ``top5`` in per cent to ``accuracy.json``.

    Args:
        seed: Seed of the stage; has no effect on the result.
        dataloader: Config of a dataloader of the held-out images, with ``batch_size``, ``num_workers`` and
            ``dataset``, which has a ``transform``.
        checkpoint: Training checkpoint of an ``ImageClassifier`` of clusters.
        labels: File with the clusters of the held-out images, which ``ClusterFeatures`` writes for its
            ``test_dataloader``.

    Raises:
        UserError: The dataset has no ``transform``.
    """

    def __init__(
        self, *, seed: int, dataloader: dict, checkpoint: str | None = None, labels: str | None = None
    ) -> None:
        self.seed = seed
        self.checkpoint, self.labels = checkpoint, labels
        transform = plain_transform(dataloader)
        dataset: dict[str, Any] = {key: value for key, value in dataloader['dataset'].items() if key != 'transform'}
        relabelled = dict(type='RelabelledImages', dataset=dataset, labels=labels, transform=transform)
        self.dataloader = dict(dataloader, dataset=relabelled)

    def run(self, folder: Path) -> None:
        """Classifies the images and writes the accuracy."""
        if problems := self._missing():
            raise UserError(problems[0])
        assert self.checkpoint is not None, '_missing() names it'
        model: Any = load_trained(self.checkpoint, whole=True)[1]
        logits = extract_features(
            model, plain_loader(self.dataloader, self.seed), feature=model.predict, description='held-out images'
        )
        if logits is not None:
            scores = AccuracyEvaluator().evaluate(logits)
            (folder / 'accuracy.json').write_text(json.dumps(scores, indent=2) + '\n')
            print_log(f'clusters of held-out images: {scores["top1"]:.2f} % correct', logger='current')

    def _missing(self) -> list[str]:
        """Returns one sentence for each missing argument."""
        needed = {'checkpoint': 'the checkpoint of the classifier', 'labels': 'the clusters of the held-out images'}
        return [f'ClusterAccuracy needs {name}, {what}' for name, what in needed.items() if getattr(self, name) is None]

    def dry_run(self, folder: Path) -> StepReport:
        """Checks the images and the arguments."""
        number, problems = dataset_or_problem(self.dataloader, 'dataloader')
        problems = self._missing() + problems
        (folder / 'accuracy.json').write_text('{}\n')
        lines = [] if number is None else [f'one pass over {number:,} images']
        return StepReport(lines, problems)
