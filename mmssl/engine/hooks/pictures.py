"""Draws predictions beside the annotations while a checkpoint is tested."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.distributed.collectives import rank, sum_over_processes
from mmssl.evaluation.extract import evaluating
from mmssl.registry import HOOKS
from mmssl.visualization.predictions import (
    below,
    best_classes,
    from_sample,
    read_upright,
    save_picture,
    side_by_side,
)

MAX_PICTURES = 200


@HOOKS.register_module()
class PicturesHook(Hook):
    """Draws the predictions of a detector, segmenter or classifier for up to 200 batches or images of the test set.

    The batches (of mmdet and mmseg) or images (of a classifier) are spread evenly over the test set. The annotation is
    on the left and the prediction on the right; a classifier's best classes and the true class are written below the
    image. ``tools/test.py --show-dir`` adds this hook.

    Args:
        out_dir: Folder of the pictures.
        score: Smallest score of a box that is drawn.
    """

    def __init__(self, out_dir: str, score: float = 0.3) -> None:
        self.out_dir = Path(out_dir)
        self.score = score
        self.number = 0

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Draws the data samples of mmdet and mmseg; each process draws those that it tests."""
        from mmssl.visualization.style import spread  # here, because matplotlib is slow to import

        loader = runner.test_loop.dataloader
        chosen = set(spread(len(loader), MAX_PICTURES).tolist())
        if batch_idx not in chosen:
            return
        meta = loader.dataset.metainfo
        for sample in outputs or ():
            prediction = from_sample(sample, meta['classes'], meta.get('palette') or ())
            if prediction is None or 'img_path' not in sample:
                continue
            image = read_upright(sample.img_path)
            drawn = prediction.above(self.score).draw(image)
            truth = from_sample(sample, meta['classes'], meta.get('palette') or (), truth=True)
            if truth is not None:
                drawn = side_by_side(truth.draw(image), drawn, ('annotation', 'prediction'))
            save_picture(drawn, self.out_dir, sample.img_path)
            self.number += 1

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draws the images of a classifier and logs the number of pictures."""
        dataset = runner.test_loop.dataloader.dataset
        self.number = int(sum_over_processes(torch.tensor(self.number, device=get_device())))
        if rank() > 0:
            return
        if self.number == 0 and hasattr(dataset, 'load') and hasattr(runner.algorithm, 'predict'):
            self._draw_classified(runner, dataset)
        if self.number == 0:
            runner.logger.warning(f'{type(runner.algorithm).__name__} has no predictions that can be drawn')
        else:
            runner.logger.info(f'drew {self.number} of {len(dataset):,} images in {self.out_dir}')

    def _draw_classified(self, runner: Runner, dataset: Any) -> None:
        from mmssl.visualization.style import spread

        model = runner.algorithm
        names = dataset.classes or tuple(str(label) for label in range(model.head.num_classes))
        with evaluating(model):
            for index in spread(len(dataset), MAX_PICTURES).tolist():
                batch = runner.test_loop.dataloader.collate_fn([dataset[index]])
                index = int(batch['data_samples']['index'])  # of another image if this one cannot be read
                logits = model.predict(model.data_preprocessor(batch, False)['inputs'])[0]
                best, label = best_classes(logits, names, 3), dataset.label(index)
                truth = [f'true: {names[label]}'] if label >= 0 else []
                save_picture(below(dataset.load(index), [*best.captions, *truth]), self.out_dir, dataset.name(index))
                self.number += 1
