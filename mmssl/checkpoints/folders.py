"""Checkpoints of sharded training: a folder to which every process writes its share."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmssl.distributed.collectives import rank

REST = 'rest.pth'
"""File of a checkpoint folder with everything that is not a tensor of the model or the optimizer."""


def split_tensors(state: Any, place: tuple = ()) -> tuple[Any, dict[str, Tensor]]:
    """Returns a state dict without its tensors, and the tensors by their place in it.

    Args:
        state: State dict with nested dicts and lists.
        place: Keys that lead to ``state``.

    Returns:
        A copy of ``state`` in which each tensor is replaced by the name of the place that ``join_tensors`` looks for,
        and name -> tensor.
    """
    if isinstance(state, Mapping):
        parts: Any = {key: split_tensors(value, (*place, key)) for key, value in state.items()}
        tensors = {name: tensor for _, found in parts.values() for name, tensor in found.items()}
        return {key: rest for key, (rest, _) in parts.items()}, tensors
    if isinstance(state, (list, tuple)):
        parts = [split_tensors(value, (*place, index)) for index, value in enumerate(state)]
        return [rest for rest, _ in parts], {name: tensor for _, found in parts for name, tensor in found.items()}
    if not isinstance(state, Tensor):
        return state, {}
    name = '/'.join(map(str, place))
    return f'{_MARK}{name}', {name: state}


_MARK = 'tensor:'


def join_tensors(rest: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Returns the state dict that ``split_tensors`` was given, with other tensors of the same names."""
    if isinstance(rest, dict):
        return {key: join_tensors(value, tensors) for key, value in rest.items()}
    if isinstance(rest, list):
        return [join_tensors(value, tensors) for value in rest]
    if isinstance(rest, str) and rest.startswith(_MARK):
        return tensors[rest.removeprefix(_MARK)]
    return rest


def write_shards(folder: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes this process's shards of the tensors, and the whole tensors of the first process.

    All processes must call this. Whole tensors, such as running statistics, may differ between the processes.

    Raises:
        OSError: A process cannot write; it is raised in all of them.
    """
    import torch.distributed.checkpoint as dcp  # here, because it is slow to import and only sharded runs need it
    from torch.distributed.tensor import DTensor

    own = {name: tensor for name, tensor in tensors.items() if rank() == 0 or isinstance(tensor, DTensor)}
    try:
        dcp.save(own, checkpoint_id=str(folder))
    except dcp.CheckpointException as error:  # which is no Exception
        raise next((cause for cause, _ in error.failures.values() if isinstance(cause, OSError)), error) from error


def read_folder(folder: str | Path, map_location: str | torch.device = 'cpu') -> dict[str, Any]:
    """Reads a checkpoint folder as the file that the first process would have written: all tensors are whole.

    The number of processes that wrote it does not matter.
    """
    import torch.distributed.checkpoint as dcp  # here, see write_shards

    reader = dcp.FileSystemReader(str(folder))
    stored: Any = reader.read_metadata().state_dict_metadata
    tensors: dict[str, Any] = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype, device=map_location)
        for name, entry in stored.items()
    }
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='torch.distributed is disabled')  # as intended
        dcp.load(tensors, storage_reader=reader, no_dist=True)
    rest = torch.load(Path(folder, REST), map_location=map_location, weights_only=True)
    return join_tensors(rest, tensors)


def replace_folder(temporary: str | Path, folder: str | Path) -> None:
    """Flushes the files of ``temporary`` to the disk and moves it to ``folder``; then removes the old checkpoint."""
    for file in Path(temporary).iterdir():
        with open(file, 'rb') as opened:
            os.fsync(opened.fileno())
    old = f'{folder}.old.tmp'  # a folder cannot be replaced in one step
    remove_checkpoint(old)
    if Path(folder).exists():
        os.rename(folder, old)
    os.rename(temporary, folder)
    remove_checkpoint(old)


def remove_checkpoint(path: str | Path) -> None:
    """Removes the file or folder of a checkpoint, if there is one."""
    if Path(path).is_dir():
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)
