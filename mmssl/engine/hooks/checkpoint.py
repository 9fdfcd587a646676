"""Writes checkpoints so that a run can be killed at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine import hooks as mmengine_hooks
from mmengine.dist import is_main_process, master_only
from mmengine.runner import Runner

from mmssl.checkpoints.files import backbone_file, replace_file
from mmssl.checkpoints.folders import remove_checkpoint
from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError, did_you_mean

_INTERIM = 'interim_ckpt'  # key of the message hub: file name of the checkpoint of an interruption


@HOOKS.register_module()
class CheckpointHook(mmengine_hooks.CheckpointHook):
    """MMEngine's ``CheckpointHook``, but it writes the new checkpoint before it deletes an old one.

    The pointer file ``last_checkpoint`` is replaced atomically, a backbone file is deleted together with its
    checkpoint, and nothing is written after a loss was not finite. With ``max_keep_ckpts``, the checkpoint of an
    interruption (``save_now``) is deleted when the resumed run has written its next one.

    Raises:
        UserError: An argument is unknown or wrong, or names a storage other than a folder.
    """

    by_epoch: bool
    filename_tmpl: str
    last_ckpt: str | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except (ValueError, KeyError) as error:  # e.g. MMEngine cannot guess whether more of the result is better
            raise UserError(
                f"CheckpointHook: {error.args[0]} (rule='greater' or rule='less' says which value of save_best is best)"
            ) from error
        if self.args:  # MMEngine would pass them to save_checkpoint() after the first epochs
            wrong, known = next(iter(self.args)), signature(mmengine_hooks.CheckpointHook).parameters
            raise UserError(f'CheckpointHook has no argument {wrong!r}{did_you_mean(wrong, known)}')
        if self.backend_args or self.file_client_args:
            raise UserError('CheckpointHook writes to a folder (out_dir) and has no backend_args or file_client_args')

    def before_train(self, runner: Runner) -> None:
        """Prepares the hook, and removes incomplete files of a run that was killed."""
        kept = list(runner.message_hub.runtime_info.get('keep_ckpt_ids', ()))  # of the run that is resumed
        super().before_train(runner)
        accumulation = runner.optim_wrapper._accumulative_counts
        interval = self.interval * (len(runner.train_dataloader) if self.by_epoch else 1)
        if interval > 0 and interval % accumulation:
            runner.logger.warning(
                f'checkpoints every {interval} iterations fall between optimizer steps of {accumulation} accumulated '
                'batches: a resumed run loses the gradient of the batches before the checkpoint and is not exact'
            )
        if is_main_process():
            for file in Path(self.out_dir).glob('*.pth*.tmp'):
                remove_checkpoint(file)
            # With a lower max_keep_ckpts MMEngine has removed checkpoints above.
            for step in kept[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else ():
                backbone_file(Path(self.out_dir, self.filename_tmpl.format(step))).unlink(missing_ok=True)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        runner.call_hook('before_checkpoint')
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated.append(Path(self.out_dir, self.filename_tmpl.format(self.keep_ckpt_ids[0])))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        outdated += self._replace_interim(runner, None)

        name = self.filename_tmpl.format(step)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
        )
        self.last_ckpt = str(Path(self.out_dir, name))
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._point_to_last(runner, outdated)

    def save_now(self, runner: Runner, name: str) -> None:
        """Writes a checkpoint after the current iteration, in addition to those at the interval; all processes call it.

        Args:
            runner: Runner in ``after_train_iter``.
            name: File name, ``iter_N.pth``.
        """
        options = dict(save_optimizer=self.save_optimizer, save_param_scheduler=self.save_param_scheduler)
        runner.call_hook('before_checkpoint')
        outdated = self._replace_interim(runner, name)
        runner.save_checkpoint(self.out_dir, name, by_epoch=False, **options)
        self.last_ckpt = str(Path(self.out_dir, name))
        self._point_to_last(runner, outdated)

    def _replace_interim(self, runner: Runner, name: str | None) -> list[Path]:
        """Notes the checkpoint of an interruption, or that there is none, and returns the one before it to delete."""
        before = runner.message_hub.runtime_info.get(_INTERIM)
        runner.message_hub.update_info(_INTERIM, name)
        if self.max_keep_ckpts < 1:
            return []
        regular = {name, *(self.filename_tmpl.format(step) for step in self.keep_ckpt_ids)}
        return [Path(self.out_dir, before)] if before is not None and before not in regular else []

    @master_only
    def _point_to_last(self, runner: Runner, outdated: list[Path]) -> None:
        pointer = Path(runner.work_dir, 'last_checkpoint')
        temporary = pointer.with_name('last_checkpoint.tmp')
        temporary.write_text(str(self.last_ckpt))
        replace_file(temporary, pointer)
        for file in outdated:
            remove_checkpoint(file)
            backbone_file(file).unlink(missing_ok=True)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best:
            return
        wrong = [name for name in self.save_best if name != 'auto' and name not in metrics]
        if wrong:
            raise UserError(
                f'save_best={wrong[0]!r} is not a result of the validation, which returns {", ".join(metrics)}'
                f'{did_you_mean(wrong[0], metrics)}'
            )
        runner.call_hook('before_checkpoint')
        before = self._best_files()
        self._set_best_files([None] * len(before))  # MMEngine would delete them before it writes the new ones
        with self._named_by_iteration(runner):
            super()._save_best_checkpoint(runner, metrics)
        now = [new or old for new, old in zip(self._best_files(), before)]
        self._set_best_files(now)
        if is_main_process():
            for file in before:
                if file and file not in now:
                    remove_checkpoint(file)
                    backbone_file(file).unlink(missing_ok=True)

    @contextmanager
    def _named_by_iteration(self, runner: Runner) -> Iterator[None]:
        """Names the best checkpoint by its iteration if a run with checkpoints of epochs evaluates within an epoch.

        MMEngine would also write the last checkpoint again, which would no longer be that of its epoch. It does so to
        store the best result, which a resumed run here finds again.
        """
        if not self.by_epoch or not getattr(runner.train_loop, 'counts_iterations', False):
            yield
            return
        before = self.by_epoch, self.filename_tmpl, self.last_ckpt
        self.by_epoch, self.filename_tmpl, self.last_ckpt = False, 'iter_{}.pth', None
        try:
            yield
        finally:
            self.by_epoch, self.filename_tmpl, self.last_ckpt = before

    def _best_files(self) -> list[str | None]:
        """Returns the best checkpoint for each result of ``save_best``."""
        if len(self.key_indicators) == 1:
            return [self.best_ckpt_path]
        return [self.best_ckpt_path_dict[key] for key in self.key_indicators]

    def _set_best_files(self, files: list[str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = files[0]
        else:
            self.best_ckpt_path_dict = dict(zip(self.key_indicators, files))
