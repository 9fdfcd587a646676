"""Safe reading and atomic writing of checkpoint files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from argparse import Namespace
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mmssl.checkpoints.folders import REST, read_folder
from mmssl.utils.errors import UserError

INDEX = '.index.json'
"""Ending of the list of files over which Hugging Face distributes large weights."""

_multiarray = (getattr(np, '_core', None) or np.core).multiarray


def _statistic(owner: Any, name: str) -> Any:
    """Replaces ``getattr`` in checkpoints: only log histories may use it, to refer to their methods."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise UnpicklingError(f'getattr({owner!r}, {name!r})')
    return getattr(owner, name)


# Content of checkpoints other than tensors and plain containers: MMEngine's log histories, numpy values and milestones;
# command line and settings (yacs) in official checkpoints.
_SAFE_GLOBALS = [
    HistoryBuffer,
    Counter,
    Namespace,
    (OrderedDict, 'yacs.config.CfgNode'),
    np.ndarray,
    np.dtype,
    (_statistic, 'builtins.getattr'),
    *[
        (getattr(_multiarray, name), f'numpy.{core}.multiarray.{name}')  # names before and since numpy 2
        for name in ('_reconstruct', 'scalar')
        for core in ('core', '_core')
    ],
    *{type(np.dtype(name)) for name in ('bool', 'int32', 'int64', 'uint32', 'float16', 'float32', 'float64')},
]


class UnreadableCheckpointError(UserError):
    """A file is damaged or not a checkpoint."""


def load_checkpoint_file(path: str | Path, map_location: str | torch.device = 'cpu') -> Any:
    """Reads a checkpoint without executing code from it (``weights_only``).

    Args:
        path: File, also ``.safetensors``, index of several files as Hugging Face writes it (``.index.json``), folder of
            a sharded run, or an http(s) address, which is cached in torch's hub directory.
        map_location: Device for the tensors.

    Returns:
        The saved object, usually a dict; for safetensors a dict with ``state_dict`` and, if ``save_safetensors`` wrote
        it, ``meta``.

    Raises:
        FileNotFoundError: The file does not exist, or is a folder without a checkpoint of a sharded run.
        UnreadableCheckpointError: The file is truncated, not a checkpoint, or contains more than tensors and plain
            data.
        UserError: The address cannot be downloaded.
    """
    with torch.serialization.safe_globals(_SAFE_GLOBALS):
        if is_address(path) and urlparse(str(path)).path.endswith('.safetensors'):
            path = local_file(path)  # torch's function would not read what else is in the file
        if is_address(path):
            folder = str(_cache_folder(str(path)))
            with downloading(str(path)):
                return torch.hub.load_state_dict_from_url(str(path), folder, map_location, weights_only=True)
        path = Path(path).expanduser()
        if (path / REST).is_file():
            return _load_folder(path, map_location)
        if path.is_dir():
            raise FileNotFoundError(f'{path} is a folder: give a checkpoint in it, such as {path}/epoch_N.pth')
        if not path.is_file():
            raise FileNotFoundError(f'checkpoint not found: {path}')
        if path.name.endswith(INDEX):
            return _load_parts(path, map_location)
        if path.suffix == '.safetensors':
            return _load_safetensors(path, map_location)
        try:
            return torch.load(path, map_location=map_location, weights_only=True)
        except UnpicklingError as error:
            raise UnreadableCheckpointError(f'{path} is not loaded: {_reason(error)}') from error
        except (RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
            size = path.stat().st_size
            reason = f': {error}' if ' ' in str(error) else ''  # torch's text may be a single number
            raise UnreadableCheckpointError(f'{path} is truncated or damaged ({size} bytes){reason}') from error


def _load_parts(index: Path, map_location: str | torch.device) -> dict[str, Any]:
    """Returns the tensors of all files that an index names, under ``state_dict``."""
    try:
        names = sorted(set(json.loads(index.read_text())['weight_map'].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UnreadableCheckpointError(f'{index} names no files of weights: it has no weight_map') from error
    tensors: dict[str, Tensor] = {}
    for name in names:
        part = load_checkpoint_file(index.with_name(Path(name).name), map_location)
        tensors |= part.get('state_dict', part)
    return dict(state_dict=tensors)


def holds_checkpoint(path: str | Path) -> bool:
    """Returns whether a path is a file, or the folder of a checkpoint of a sharded run."""
    path = Path(path).expanduser()
    return path.is_file() or (path / REST).is_file()


def load_compiled_file(path: str | Path) -> dict[str, Tensor] | None:
    """Returns the tensors of a TorchScript archive in float32, such as OpenAI's CLIP; None for another file."""
    is_compiled = zipfile.is_zipfile(path) and any(
        name.endswith('/constants.pkl') for name in zipfile.ZipFile(path).namelist()
    )
    if not is_compiled:
        return None
    compiled: torch.nn.Module = torch.jit.load(path, map_location='cpu')
    return {name: tensor.float() for name, tensor in compiled.state_dict().items()}


def _load_folder(path: Path, map_location: str | torch.device) -> dict[str, Any]:
    from torch.distributed.checkpoint.api import CheckpointException  # here, because it is slow to import

    try:
        return read_folder(path, map_location)
    except (CheckpointException, UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        raise UnreadableCheckpointError(f'the checkpoint folder {path} is incomplete or damaged: {error}') from error


def is_address(file: str | Path) -> bool:
    """Returns whether ``file`` is an http(s) address."""
    return str(file).startswith(('http://', 'https://'))


def _reason(error: UnpicklingError) -> str:
    """Returns the reason why a file is not loaded, without torch's advice to load it with ``weights_only=False``."""
    match = re.search(r'GLOBAL ([\w.]+)', str(error))
    if match is None:
        return 'it is damaged, or not a checkpoint'
    return f'it contains {match[1]}, which could run code; a checkpoint may contain only tensors and plain data'


@contextmanager
def downloading(address: str) -> Iterator[None]:
    """Turns errors of a download inside a ``with`` block into a short ``UserError``.

    Raises:
        UserError: The address cannot be downloaded.
    """
    try:
        yield
    except UnpicklingError as error:
        raise UnreadableCheckpointError(f'{address} is not loaded: {_reason(error)}') from error
    except (URLError, TimeoutError, ConnectionError) as error:  # HTTPError is a URLError
        reason = getattr(error, 'reason', error)
        raise UserError(
            f'{address} cannot be downloaded ({reason}): download it on a machine with a network, and give its path'
        ) from error


def local_file(file: str | Path) -> Path:
    """Returns the path of a file; an http(s) address is first downloaded into a folder of torch's hub directory.

    Raises:
        UserError: The address cannot be downloaded.
    """
    if not is_address(file):
        return Path(file).expanduser()
    path = _cache_folder(str(file)) / Path(urlparse(str(file)).path).name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with downloading(str(file)):
            torch.hub.download_url_to_file(str(file), str(path), progress=False)
    return path


def _cache_folder(address: str) -> Path:
    """Returns the folder for the file of an address in torch's hub directory.

    Each address has its own folder, because official codes publish several files of one name, such as
    ``checkpoint.pth``: torch would take the first one for all of them.
    """
    return Path(torch.hub.get_dir()) / 'checkpoints' / hashlib.sha256(address.encode()).hexdigest()[:16]


def _load_safetensors(path: Path, map_location: str | torch.device) -> dict[str, Any]:
    try:
        with safe_open(path, framework='pt') as file:
            meta = (file.metadata() or {}).get('meta')
        checkpoint: dict[str, Any] = dict(state_dict=load_file(path, device=str(map_location)))
    except (SafetensorError, OSError) as error:
        raise UnreadableCheckpointError(f'{path} is damaged, or not a safetensors file: {error}') from error
    return checkpoint if meta is None else checkpoint | dict(meta=json.loads(meta))


def save_safetensors(tensors: Mapping[str, Tensor], path: str | Path, meta: Mapping[str, Any] | None = None) -> None:
    """Writes tensors in the format safetensors, as ``save_checkpoint_file`` does.

    Args:
        tensors: Tensors by name; tensors that share memory are written separately.
        path: File to write.
        meta: Plain values, which are written into the file as JSON.
    """
    temporary = f'{path}.tmp'
    described = {'format': 'pt'} | ({} if meta is None else {'meta': json.dumps(meta)})
    own = {name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}
    Path(temporary).write_bytes(save(own, described))  # save_file() ignores the umask: only the owner can read
    replace_file(temporary, path)


def save_checkpoint_file(checkpoint: Any, path: str | Path) -> None:
    """Writes ``checkpoint`` atomically: ``path`` contains either the old or the whole new content.

    Raises:
        OSError: The file cannot be written, for instance because the disk is full.
    """
    temporary = f'{path}.tmp'
    with open(temporary, 'wb') as file:  # a full disk is then an OSError; torch's own file raises a RuntimeError
        torch.save(checkpoint, file)
    replace_file(temporary, path)


def replace_file(temporary: str | Path, path: str | Path) -> None:
    """Flushes ``temporary`` to the disk and moves it over ``path`` in one atomic step."""
    with open(temporary, 'rb') as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def backbone_file(checkpoint: str | Path) -> Path:
    """Returns the path of the backbone file of a training checkpoint: ``epoch_9_backbone.pth`` beside it."""
    checkpoint = Path(checkpoint)
    return checkpoint.with_name(f'{checkpoint.stem}_backbone{checkpoint.suffix}')
