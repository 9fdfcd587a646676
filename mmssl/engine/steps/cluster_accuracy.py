"""How well a network that was fitted to clusters finds those of other images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmssl.engine.stages import StepReport
from mmssl.engine.steps.frozen import dataset_or_problem, plain_loader
from mmssl.evaluation.accuracy import AccuracyEvaluator
from mmssl.evaluation.extract import extract_features
from mmssl.registry import STEPS
from mmssl.utils.dist import rank
from mmssl.utils.errors import UserError
from mmssl.utils.trained import load_trained


@STEPS.register_module()
class ClusterAccuracy:
    """Classifies held-out images into clusters and writes the accuracy: ``top1`` and ``top5`` in ``accuracy.json``.

    Args:
        seed: Not used.
        dataloader: Held-out images: config with ``batch_size``, ``num_workers`` and ``dataset``, which has a
            ``transform``.
        checkpoint: Training checkpoint of an ``ImageClassifier`` of clusters.
        labels: Clusters of the held-out images, as ``ClusterFeatures`` writes them with ``test_dataloader``.
    """

    def __init__(
        self, *, seed: int, dataloader: dict, checkpoint: str | None = None, labels: str | None = None
    ) -> None:
        self.seed = seed
        self.checkpoint = checkpoint
        dataset: dict[str, Any] = dict(dataloader['dataset'])
        transform = dataset.pop('transform')
        relabelled = dict(type='RelabelledImages', dataset=dataset, labels=labels, transform=transform)
        self.dataloader = dict(dataloader, dataset=relabelled)

    def run(self, folder: Path) -> None:
        """Classifies and writes."""
        if self.checkpoint is None:
            raise UserError('ClusterAccuracy needs the checkpoint of the classifier')
        _, model = load_trained(self.checkpoint, whole=True)
        logits = extract_features(
            model, plain_loader(self.dataloader, self.seed), feature=model.predict, description='held-out images'
        )
        if logits is not None:
            scores = AccuracyEvaluator().evaluate(logits)
            (folder / 'accuracy.json').write_text(json.dumps(scores, indent=2) + '\n')
            print_log(f'clusters of held-out images: {scores["top1"]:.2f} % right', logger='current')

    def dry_run(self, folder: Path) -> StepReport:
        """Looks for the images."""
        number, problems = dataset_or_problem(self.dataloader, 'dataloader')
        if rank() == 0:
            (folder / 'accuracy.json').write_text('{}\n')
        lines = [] if number is None else [f'one pass over {number:,} images']
        return StepReport(lines, problems)
