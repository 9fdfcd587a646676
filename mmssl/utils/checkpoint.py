"""Reading and writing checkpoint files: safe, atomic, loud."""

from __future__ import annotations

import inspect
import json
import os
import re
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
from mmengine.logging import HistoryBuffer, print_log
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from mmssl.checkpoints.grids import TABLES
from mmssl.utils.errors import UserError

_multiarray = (getattr(np, '_core', None) or np.core).multiarray


def _statistic(owner: Any, name: str) -> Any:
    """Stands for ``getattr`` in checkpoints: log histories refer to their methods that way, nothing else may."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise UnpicklingError(f'getattr({owner!r}, {name!r})')
    return getattr(owner, name)


# What checkpoints hold beside tensors and plain containers: MMEngine's log histories, numpy values, milestones; the
# command line and settings (yacs) in those of official codes.
_SAFE_GLOBALS = [
    HistoryBuffer,
    Counter,
    Namespace,
    (OrderedDict, 'yacs.config.CfgNode'),
    np.ndarray,
    np.dtype,
    (_statistic, 'builtins.getattr'),
    *[
        (getattr(_multiarray, name), f'numpy.{core}.multiarray.{name}')  # before and since numpy 2
        for name in ('_reconstruct', 'scalar')
        for core in ('core', '_core')
    ],
    *{type(np.dtype(name)) for name in ('bool', 'int32', 'int64', 'uint32', 'float16', 'float32', 'float64')},
]


class UnreadableCheckpointError(UserError):
    """A file is damaged or is no checkpoint."""


def load_checkpoint_file(path: str | Path, map_location: str | torch.device = 'cpu') -> Any:
    """Reads a checkpoint without executing code from it (``weights_only``).

    Args:
        path: File, or an http(s) address, which is cached in torch's hub directory; ``.safetensors`` is read as well.
        map_location: Device for the tensors.

    Returns:
        What was saved, usually a dict; of safetensors ``state_dict``, and ``meta`` where ``save_safetensors`` wrote it.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableCheckpointError: The file is truncated, is no checkpoint, or holds more than tensors and plain data.
        UserError: The address cannot be downloaded.
    """
    with torch.serialization.safe_globals(_SAFE_GLOBALS):
        if str(path).startswith(('http://', 'https://')):
            with downloading(str(path)):
                return torch.hub.load_state_dict_from_url(str(path), map_location=map_location, weights_only=True)
        path = Path(path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f'checkpoint not found: {path}')
        if path.suffix == '.safetensors':
            return _load_safetensors(path, map_location)
        try:
            return torch.load(path, map_location=map_location, weights_only=True)
        except UnpicklingError as error:
            raise UnreadableCheckpointError(f'{path} is not loaded: {_reason(error)}') from error
        except (RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
            size = path.stat().st_size
            raise UnreadableCheckpointError(f'{path} is truncated or damaged ({size} bytes): {error}') from error


def _reason(error: UnpicklingError) -> str:
    """What the file holds, in place of torch's advice to load it all the same."""
    match = re.search(r'GLOBAL ([\w.]+)', str(error))
    if match is None:
        return 'it is damaged, or no checkpoint'
    return f'it holds {match[1]}, which could run code; a checkpoint holds tensors and plain data only'


@contextmanager
def downloading(address: str) -> Iterator[None]:
    """Makes one sentence of a network that is not there.

    Raises:
        UserError: The address cannot be downloaded.
    """
    try:
        yield
    except UnpicklingError as error:
        raise UnreadableCheckpointError(f'{address} is not loaded: {_reason(error)}') from error
    except (URLError, TimeoutError, ConnectionError) as error:  # URLError also of an address that answers with an error
        reason = getattr(error, 'reason', error)
        raise UserError(
            f'{address} cannot be downloaded ({reason}): fetch the file where there is a network, and give its path'
        ) from error


def local_file(file: str | Path) -> Path:
    """Returns the path of a file; one at an http(s) address is downloaded into torch's hub directory the first time.

    Raises:
        UserError: The address cannot be downloaded.
    """
    if not str(file).startswith(('http://', 'https://')):
        return Path(file).expanduser()
    path = Path(torch.hub.get_dir()) / 'checkpoints' / Path(urlparse(str(file)).path).name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with downloading(str(file)):
            torch.hub.download_url_to_file(str(file), str(path), progress=False)
    return path


def _load_safetensors(path: Path, map_location: str | torch.device) -> dict[str, Any]:
    try:
        with safe_open(path, framework='pt') as file:
            meta = (file.metadata() or {}).get('meta')
        checkpoint: dict[str, Any] = dict(state_dict=load_file(path, device=str(map_location)))
    except (SafetensorError, OSError) as error:
        raise UnreadableCheckpointError(f'{path} is no file of safetensors, or it is damaged: {error}') from error
    return checkpoint if meta is None else checkpoint | dict(meta=json.loads(meta))


def save_safetensors(tensors: Mapping[str, Tensor], path: str | Path, meta: Mapping[str, Any] | None = None) -> None:
    """Writes tensors in the format safetensors, as ``save_checkpoint_file`` does.

    Args:
        tensors: By name; those that share memory are written as if they did not.
        path: File to write.
        meta: Plain values, written beside the tensors as JSON.
    """
    temporary = f'{path}.tmp'
    described = {'format': 'pt'} | ({} if meta is None else {'meta': json.dumps(meta)})
    own = {name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}
    Path(temporary).write_bytes(save(own, described))  # save_file() makes files that nobody else may read
    replace_file(temporary, path)


def save_checkpoint_file(checkpoint: Any, path: str | Path) -> None:
    """Writes ``checkpoint`` so that ``path`` holds the old content or the whole new one, never a part of it."""
    temporary = f'{path}.tmp'
    torch.save(checkpoint, temporary)
    replace_file(temporary, path)


def replace_file(temporary: str | Path, path: str | Path) -> None:
    """Moves ``temporary``, once it is on the disk, over ``path``, in one step that a crash cannot cut in two."""
    with open(temporary, 'rb') as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def backbone_file(checkpoint: str | Path) -> Path:
    """Returns the path of the plain backbone file beside a training checkpoint: ``epoch_9_backbone.pth``."""
    checkpoint = Path(checkpoint)
    return checkpoint.with_name(f'{checkpoint.stem}_backbone{checkpoint.suffix}')


def get_state_dict(checkpoint: Any) -> dict[str, Tensor]:
    """Returns the tensors of a checkpoint by name, whether they lie at the top or under a usual key.

    Tables of positions get the attribute ``grid``, (rows, columns), where the checkpoint tells their grid of patches.

    Raises:
        UserError: There are none.
    """
    if isinstance(checkpoint, dict):
        for nested in (checkpoint.get('state_dict'), checkpoint.get('model'), checkpoint):
            tensors = _named_tensors(nested) if isinstance(nested, dict) else {}
            if tensors:
                _mark_grids(tensors, getattr(nested, '_metadata', {}), checkpoint)
                return tensors
    raise UserError("the checkpoint has no tensors under 'state_dict', 'model' or at its top")


def _named_tensors(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a dict, without the ``_orig_mod.`` that ``torch.compile`` puts into names."""
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    return {str(key).replace('_orig_mod.', ''): value for key, value in tensors.items()}


def _mark_grids(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> None:
    """Writes the grid beside every table of positions: that in the metadata of its owner, else that of the config."""
    tables = [name for name in tensors if name.rpartition('.')[2] in TABLES]
    if not tables:
        return
    grids = {
        owner.replace('_orig_mod.', ''): content['grid_size']
        for owner, content in metadata.items()
        if 'grid_size' in content
    }
    of_config = None if grids else _grid_of_config(checkpoint)
    for name in tables:
        owners = [owner for owner in grids if not owner or name.startswith(f'{owner}.')]
        grid = grids[max(owners, key=len)] if owners else of_config
        if grid is not None:
            tensors[name].grid = tuple(grid)


def _grid_of_config(checkpoint: Mapping[str, Any]) -> tuple[int, int] | None:
    """The grid of the backbone that the config in a checkpoint describes, for files without such metadata."""
    from mmssl.converters.architecture import known_config
    from mmssl.registry import BACKBONES

    backbone = known_config(checkpoint)
    if not backbone or str(backbone.get('type')).removeprefix('mmssl.') not in BACKBONES.members:
        return None
    try:
        with torch.device('meta'):
            return getattr(BACKBONES.build(dict(backbone, init_cfg=None)), 'grid_size', None)
    except (TypeError, ValueError):  # written by another version
        return None


def load_backbone(module: nn.Module, file: str | Path, prefix: str | None = None, min_match: float = 0.99) -> None:
    """Loads a backbone from any checkpoint that contains it.

    Position embeddings of another size are resized where the backbone does so when it loads a state dict.

    Args:
        module: The backbone.
        file: Training checkpoint, backbone file, or another checkpoint with the backbone's names under a prefix.
        prefix: What precedes the backbone's names in the file, e.g. ``'backbone'``. None finds the prefix under which
            most tensors match; of equal ones the shortest, so that a student precedes its teacher.
        min_match: Share of the backbone's tensors, in (0, 1], that must be in the file.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: Fewer than ``min_match`` of the tensors are in the file, its first layer is not, or a tensor has
            another shape; lists what is missing and what was offered.
    """
    offered = get_state_dict(load_checkpoint_file(file))
    load_matching(module, offered, str(file), prefix, min_match)


def load_matching(
    module: nn.Module,
    offered: dict[str, Tensor],
    source: str,
    prefix: str | None = None,
    min_match: float = 0.99,
    name: str = 'backbone',
) -> None:
    """Loads from ``offered`` the tensors of ``module`` that match, as ``load_backbone`` does from a file.

    Args:
        module: Any module.
        offered: Tensors by name.
        source: Where they come from, for messages.
        prefix: As in ``load_backbone``.
        min_match: As in ``load_backbone``.
        name: What ``module`` is called in messages.

    Raises:
        UserError: Fewer than ``min_match`` of the tensors are offered, the first layer is not, one has another shape,
            or what is offered is deeper than ``module``.
    """
    wanted = module.state_dict()
    found, matched, missing = _match(module, wanted, offered, prefix)
    total = len(matched) + len(missing)
    # A network without its first layer has lost what the others were trained on.
    first = next((key for key, value in wanted.items() if value.ndim > 1 and key.endswith('weight')), None)
    if not total or len(matched) < min_match * total or first in missing or any(key in found for key in missing):
        lines = _mismatch(wanted, found, missing, offered, f'{name}: {len(matched)}/{total}', source)
        if first in missing and first in found and (option := _option_for(module, found[first])):
            lines.append(f'The first layer of the file is another one: set model.backbone.{option} in the config.')
        raise UserError('\n'.join(lines))
    parts = dict(module.named_children())
    surplus = [key for key in found if key not in wanted and key.partition('.')[0] in parts]
    if surplus:
        raise UserError(
            f'{source} holds a deeper {name} than this one, so nothing was loaded: it has {len(surplus)} tensors more\n'
            f'  unexpected: {_some(surplus)}\ngive the configuration that the file was written with'
        )
    module.load_state_dict(matched, strict=False)
    print_log(f'{name}: {len(matched)}/{total} tensors from {source}', logger='current')
    if missing:
        print_log(f'{name}: not in the file: {", ".join(missing)}', logger='current')


def matching_share(module: nn.Module, offered: dict[str, Tensor], prefix: str | None = None) -> float:
    """Share in [0, 1] of the tensors of ``module`` that ``load_matching`` would load from ``offered``."""
    _, matched, missing = _match(module, module.state_dict(), offered, prefix)
    return len(matched) / max(len(matched) + len(missing), 1)


def _match(
    module: nn.Module, wanted: dict[str, Tensor], offered: dict[str, Tensor], prefix: str | None
) -> tuple[dict[str, Tensor], dict[str, Tensor], list[str]]:
    """What is offered under the prefix, what of it fits, and the names of ``wanted`` that nothing fits."""
    if prefix is None:
        prefix = find_prefix(wanted, offered)
    elif prefix and not prefix.endswith('.'):
        prefix += '.'
    found = {key[len(prefix) :]: value for key, value in offered.items() if key.startswith(prefix)}
    run_loading_hooks(module, found)
    matched = {key: found[key] for key in wanted if key in found and found[key].shape == wanted[key].shape}
    # Batch counters carry no weights, and older files do not have them.
    missing = [key for key in wanted if key not in matched and not key.endswith('num_batches_tracked')]
    return found, matched, missing


def run_loading_hooks(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Lets the parts of ``module`` adapt ``state`` as they do while loading, e.g. resize position embeddings."""
    for name, part in module.named_modules():
        for hook in part._load_state_dict_pre_hooks.values():
            hook(state, f'{name}.' if name else '', {}, False, [], [], [])


def find_prefix(wanted: dict[str, Tensor], offered: dict[str, Tensor]) -> str:
    """Returns the prefix under which most of ``wanted`` is in ``offered``; of equal ones the shortest."""
    matches: Counter[str] = Counter()
    by_last_name: dict[str, list[str]] = {}
    for key in wanted:
        by_last_name.setdefault(key.rpartition('.')[2], []).append(key)
    for key, value in offered.items():
        for candidate in by_last_name.get(key.rpartition('.')[2], ()):
            prefix = key[: len(key) - len(candidate)]
            if key.endswith(candidate) and (not prefix or prefix.endswith('.')):
                matches[prefix] += value.shape == wanted[candidate].shape
    return max(matches, key=lambda prefix: (matches[prefix], -len(prefix)), default='')


def _option_for(module: nn.Module, weight: Tensor) -> str | None:
    """The argument of the class of ``module`` that gives its first layer the kernel of ``weight`` (O, I, H, W)."""
    kernel = weight.shape[-1]
    arguments = inspect.signature(type(module).__init__).parameters
    if weight.ndim != 4:
        return None
    if 'stem' in arguments:
        return f"stem='{'small' if kernel == 3 else 'imagenet'}'"
    return next((f'{key}={kernel}' for key in ('patch_size', 'stem_stride') if key in arguments), None)


def _mismatch(
    wanted: dict[str, Tensor],
    found: dict[str, Tensor],
    missing: list[str],
    offered: dict[str, Tensor],
    score: str,
    source: str,
) -> list[str]:
    shapes = [
        f'{key} {tuple(found[key].shape)} instead of {tuple(wanted[key].shape)}' for key in missing if key in found
    ]
    return [
        f'{score} tensors in {source} match, so nothing was loaded.',
        f'  missing: {_some([key for key in missing if key not in found])}',
        f'  of another shape: {_some(shapes)}',
        f'  unexpected: {_some([key for key in found if key not in wanted])}',
        f'  offered: {_some(list(offered))}',
        'The file holds another architecture, or a name scheme that has to be converted first.',
    ]


def _some(names: list[str], limit: int = 10) -> str:
    return ', '.join(names[:limit]) + (f', ... ({len(names)} in all)' if len(names) > limit else '') or 'none'
