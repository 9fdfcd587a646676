"""The part of the runner that writes and reads checkpoints."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook
from mmengine.runner import BaseLoop, Runner

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import (
    UnreadableCheckpointError,
    backbone_file,
    load_checkpoint_file,
    replace_file,
    save_checkpoint_file,
)
from mmssl.checkpoints.folders import REST, remove_checkpoint, replace_folder, split_tensors, write_shards
from mmssl.checkpoints.low_rank import folded
from mmssl.checkpoints.matching import load_matching, load_whole
from mmssl.config.strategy import read_strategy
from mmssl.distributed.collectives import gather_constant
from mmssl.distributed.unwrap import unwrap
from mmssl.engine.memory_format import align_optimizer_state, contiguous_tensors
from mmssl.engine.resume import check_resumable
from mmssl.engine.sharding import is_sharded, reshard, whole_state
from mmssl.utils.errors import UserError

_CHECKPOINT_NAME = re.compile(r'(epoch|iter)_\d+\.pth')


class CheckpointRunner(Runner):
    """MMEngine's runner with atomic checkpoints, a file of the backbone beside each, and resume from the newest.

    Weights and optimizer state are stored in the contiguous memory format, whatever format the run uses. A sharded run
    gathers them, or writes the shards of each process into a folder.
    """

    writes_backbone_files = True
    _saved_weights: dict | None = None
    _gathered: dict | None = None  # state of all processes of a sharded run, while a checkpoint is written

    @property
    def sharding(self) -> dict | None:
        """Options of sharded training; None for DistributedDataParallel and for one process."""
        return read_strategy(self.cfg.get('strategy')) if self.distributed else None

    @property
    def algorithm(self) -> Any:
        """Model without the wrapper of distributed training."""
        return unwrap(self.model)

    def save_checkpoint(
        self, out_dir: str, filename: str, file_client_args: dict | None = None, *, whole: bool = False, **kwargs: Any
    ) -> None:
        """Writes a checkpoint atomically, and its backbone in a second file ``<name>_backbone.pth``.

        All processes of a sharded run must call this; otherwise only the first one writes.

        Args:
            out_dir: Folder.
            filename: Name of the checkpoint.
            file_client_args: Argument of the method of MMEngine.
            whole: Write one file, also in a run whose processes write their shards into a folder.
            **kwargs: Further arguments of the method of MMEngine.
        """
        path = Path(out_dir, filename)
        meta = dict(kwargs.pop('meta', None) or {}, epoch_length=len(self.train_dataloader))
        target, replace = f'{filename}.tmp', cast(Callable[[str, Path], None], replace_file)
        if is_sharded(self.algorithm):
            writes_shards = (self.sharding or {}).get('checkpoint') == 'sharded' and not whole
            try:
                self._gathered = self._gather_state(f'{path}.tmp', kwargs.get('save_optimizer', True), writes_shards)
            except OSError as error:
                raise _cannot_write(path, error) from error
            if writes_shards:
                target, replace = f'{filename}.tmp/{REST}', replace_folder
        if is_main_process():
            try:
                super().save_checkpoint(out_dir, target, meta=meta, **kwargs)
                replace(f'{path}.tmp', path)
                if getattr(self.algorithm, 'backbone', None) is not None and self.writes_backbone_files:
                    position = {key: meta[key] for key in ('epoch', 'iter')}  # MMEngine has completed meta
                    self.save_backbone(backbone_file(path), self._saved_weights, checkpoint=filename, **position)
            except OSError as error:
                raise _cannot_write(path, error) from error
        self._saved_weights = self._gathered = None

    def _gather_state(self, path: str, with_optimizer: bool, writes_shards: bool) -> dict[str, Any]:
        """Gathers the state of all processes in the first one, or writes their shards into the folder ``path``.

        Returns:
            Entries of the checkpoint. After shards were written they hold no tensors, but ``state_dict`` has those of
            the backbone.
        """
        model = self.algorithm
        reshard(model)
        state = dict(state_dict=model.state_dict())
        if with_optimizer:
            state['optimizer'] = self.optim_wrapper.state_dict()
        if not writes_shards:
            return whole_state(state, keep=is_main_process())
        rest, tensors = split_tensors(state)
        write_shards(path, tensors)
        backbone = {key: value for key, value in state['state_dict'].items() if key.startswith('backbone.')}
        return dict(rest, backbone=whole_state(backbone, keep=is_main_process()))

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Calls all hooks; remembers the weights of a checkpoint, which hooks such as EMAHook may have replaced."""
        if fn_name == 'before_save_checkpoint' and self._gathered is not None:
            kwargs['checkpoint'].update(self._gathered)
            self._saved_weights = kwargs['checkpoint'].pop('backbone', None)
        super().call_hook(fn_name, **kwargs)
        if fn_name == 'before_save_checkpoint':
            checkpoint = kwargs['checkpoint']
            contiguous_tensors(checkpoint['state_dict'])
            contiguous_tensors(checkpoint.get('optimizer'))
        if fn_name == 'before_save_checkpoint' and self._saved_weights is None:
            self._saved_weights = kwargs['checkpoint']['state_dict']

    def save_backbone(self, path: str | Path, weights: dict | None = None, **meta: Any) -> None:
        """Writes the weights of the backbone; without ``weights`` all processes of a sharded run must call this.

        Args:
            path: File to write.
            weights: State dict of the whole model, such as the averaged weights that a hook put into the checkpoint;
                None takes the current weights, or the average of an EMAHook, as a checkpoint does.
            **meta: Plain values to store in the file; ``epoch`` and ``iter``, those of the run, can be replaced.
        """
        state = self.algorithm.backbone.state_dict()  # its metadata holds the grid of the position tables
        if weights is None and is_sharded(self.algorithm):
            reshard(self.algorithm)
            weights = whole_state({f'backbone.{key}': value for key, value in state.items()}, keep=is_main_process())
        elif weights is None:
            weights = self._final_weights()
        if not is_main_process():
            return
        state.update({key: (weights or {}).get(f'backbone.{key}', value).cpu() for key, value in state.items()})
        plain = folded(state)
        for key in list(state):  # in place, because the metadata belongs to this dict
            if key in plain:
                state[key] = plain[key]
            else:
                del state[key]
        contiguous_tensors(state)
        meta = dict(algorithm=self.model_name, epoch=self.epoch, iter=self.iter) | meta
        for part in ('backbone', 'data_preprocessor'):
            meta[part] = _plain(self.cfg.get('model', {}).get(part))
        save_checkpoint_file(dict(state_dict=state, meta=meta), path)

    def _final_weights(self) -> dict[str, torch.Tensor]:
        """Returns the weights that a checkpoint would hold: the current ones, or the average of an EMAHook."""
        checkpoint = dict(state_dict=self.algorithm.state_dict())
        for hook in self.hooks:
            if isinstance(hook, EMAHook):
                hook.before_save_checkpoint(self, checkpoint)
        return checkpoint['state_dict']

    def load_checkpoint(self, filename: str, map_location: Any = 'cpu', strict: bool = False, **kwargs: Any) -> dict:
        """Loads weights into the whole model, or into the backbone if the file only holds a backbone.

        On resume, or if ``strict``, all tensors must match; otherwise at least 99 % of the tensors of the model, or of
        the backbone, and a warning names the other parts of the file.

        Raises:
            UserError: The file cannot be read, too few tensors match, or the run cannot be resumed from it.
        """
        checkpoint = load_checkpoint_file(filename, map_location)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        offered, backbone = get_state_dict(checkpoint, fold=not self._resume), getattr(self.algorithm, 'backbone', None)
        if self._resume:
            check_resumable(self, checkpoint, filename)
        if strict or self._resume:
            load_whole(self.algorithm, offered, str(filename))
        else:
            try:
                load_matching(self.algorithm, offered, str(filename), min_match=0.99, name='model')
            except UserError:
                if backbone is None:
                    raise
                load_matching(backbone, offered, str(filename), min_match=0.99)
                parts = {name.partition('.')[0] for name in offered}
                if 'backbone' in parts and len(parts) > 1:
                    self.logger.warning(
                        f'only the backbone was loaded from {filename}, because the file does not hold the whole model '
                        f'of this config. Not loaded: {", ".join(sorted(parts - {"backbone"}))}'
                    )
        self._has_loaded = True
        return checkpoint

    def load_or_resume(self) -> None:
        """Resumes from the newest readable checkpoint of the work directory, or loads ``load_from``.

        Raises:
            UserError: There are checkpoints, but none can be read, or the processes are at different iterations.
        """
        if self._has_loaded or not self._resume or self._load_from is not None:
            super().load_or_resume()
        else:
            self._resume_newest()
        if not isinstance(self._train_loop, BaseLoop):  # an evaluation
            return
        device = next(self.model.parameters()).device
        iterations = gather_constant(torch.tensor([self.iter], device=device)).tolist()
        if len(set(iterations)) > 1:
            raise UserError(
                f'the processes would start at different iterations ({", ".join(map(str, iterations))}), because they '
                f'see different checkpoints in {self.work_dir}: put it on storage that all machines see'
            )
        if not self._resume and is_main_process() and resumable_checkpoints(self.work_dir):
            self.logger.warning(
                f'{self.work_dir} holds checkpoints of an earlier run. This run overwrites those of the same name, and '
                'until it has written one of its own, --resume would continue the earlier run: give another --work-dir'
            )

    def _resume_newest(self) -> None:
        candidates = resumable_checkpoints(self.work_dir)
        if not candidates:
            self.logger.info(f'no checkpoint in {self.work_dir}: the run starts at the beginning')
            return
        for path in candidates:
            try:
                self.resume(str(path))
                return
            except UnreadableCheckpointError as error:
                self.logger.warning(f'{error}\nTrying the checkpoint before it.')
        raise UserError(f'none of the {len(candidates)} checkpoints in {self.work_dir} can be read')

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Continues the run of a checkpoint; warns if this run is already complete."""
        super().resume(filename, *args, **kwargs)
        align_optimizer_state(self.optim_wrapper)
        self.message_hub.update_info('last_ckpt', str(filename))
        if self.iter >= self.max_iters:
            self.logger.warning(
                f'{filename} is the end of this run ({self.iter} of {self.max_iters} iterations): nothing is trained. '
                'To train longer, raise max_epochs or train_cfg.max_iters'
            )


def _cannot_write(path: Path, error: OSError) -> UserError:
    """Removes an incomplete checkpoint, and returns the message that it could not be written."""
    if is_main_process():
        for name in (path, backbone_file(path)):
            remove_checkpoint(f'{name}.tmp')
    return UserError(
        f'{path} cannot be written: {error.strerror or error}. Checkpoints before it are whole; free space, or write '
        'elsewhere (--work-dir), and continue with --resume'
    )


def _plain(config: Any) -> dict | None:
    """Returns the config as a dict of plain values, None if it holds other objects, such as a class as ``type``."""
    try:
        return ast.literal_eval(repr(config.to_dict()))
    except (AttributeError, ValueError, SyntaxError):
        return None


def resumable_checkpoints(work_dir: str | Path) -> list[Path]:
    """Returns the training checkpoints of a run: first the one that ``last_checkpoint`` names, then the newest.

    They are in the work directory, or beside the one that ``last_checkpoint`` names (``out_dir`` of the hook).
    """
    folder, last, pointer = Path(work_dir), None, Path(work_dir, 'last_checkpoint')
    if pointer.is_file():
        named = Path(pointer.read_text().strip())
        last = folder / named.name  # the work directory may have been moved or copied
        if not last.exists() and named.exists():
            folder, last = named.parent, named
    files = [file for file in folder.glob('*.pth') if _CHECKPOINT_NAME.fullmatch(file.name) and file != last]
    files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    return [last, *files] if last is not None and last.exists() else files
