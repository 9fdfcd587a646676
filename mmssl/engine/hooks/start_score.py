"""Compares a pre-training that continues from trained weights with its start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.registry import HOOKS

_KEY = 'start_score'


@HOOKS.register_module()
class StartScoreHook(Hook):
    """Evaluates the weights with which a run starts, and warns when a later evaluation is worse.

    ``tools/train.py --pretrained`` adds this hook to a pre-training. The results of the start are logged before the
    first iteration and kept in checkpoints, so a resumed run compares with the same start.

    Args:
        result: Name of the result that is compared, higher is better; for another evaluation, without labels, nothing
            is compared.
        tolerance: Difference to the start that is not worth a warning, in the unit of the result, such as percent.
        changes: Sentences about the settings of the run, for the log.
    """

    priority = 'LOW'  # after the weights were loaded and the teacher was copied

    def __init__(self, result: str = 'knn_top1', tolerance: float = 0.5, changes: Sequence[str] = ()) -> None:
        self.result = result
        self.tolerance = tolerance
        self.changes = list(changes)

    def before_train(self, runner: Runner) -> None:
        """Evaluates the start."""
        if runner.iter > 0:
            return
        for change in self.changes:
            runner.logger.info(f'start from trained weights: {change}')
        if not hasattr(runner.val_loop, 'evaluate'):
            runner.logger.info('the start is not evaluated: the recipe has no evaluation of embeddings')
            return
        results = runner.val_loop.evaluate()
        shown = ', '.join(f'{name} {value:.2f}' for name, value in results.items())
        runner.logger.info(f'before the first step: {shown}')
        if self.result in results:
            runner.message_hub.update_info(_KEY, float(results[self.result]))
        else:
            runner.logger.info(f'there is no {self.result}, because it needs labels: class folders would give them')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Compares an evaluation with the start."""
        start, now = runner.message_hub.get_info(_KEY, None), (metrics or {}).get(self.result)
        if start is None or now is None:
            return
        if now < start - self.tolerance:
            runner.logger.warning(
                f'{self.result} {now:.2f} is below {start:.2f} of the start: the training harms the weights that it '
                'began with. Lower continued.lr_factor, raise continued.frozen_blocks, set continued.low_rank=8, or '
                'keep an earlier checkpoint'
            )
        else:
            runner.logger.info(f'{self.result} {now:.2f}, {start:.2f} at the start')
