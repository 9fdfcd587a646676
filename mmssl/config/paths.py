"""Files and folders in a config: their keys, moving of all data by one option, and missing paths."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path, PurePath
from typing import Any

from mmengine.config import Config

from mmssl.utils.errors import UserError


def paths_below(node: Any, keys: tuple[str, ...], place: str = '') -> Iterator[tuple[str, str]]:
    """Yields every (dotted key, path) below ``node`` whose last key is in ``keys``, without variables of the config."""
    for key, value in enumerate(node) if isinstance(node, (list, tuple)) else node.items():
        inner = f'{place}.{key}' if place else str(key)
        if isinstance(value, str):
            name = place.rpartition('.')[2] if isinstance(key, int) else key  # for an element, the key of its list
            holder = place.rpartition('.')[0] if isinstance(key, int) else place
            if name in keys and (holder or key == 'load_from'):
                yield inner, value
        elif isinstance(value, (dict, list, tuple)) and not inner.startswith('_'):
            yield from paths_below(value, keys, inner)


def paths_as_text(node: Any) -> Any:
    """Returns a value in which every ``Path`` is text, because a config with other objects cannot be printed and read.

    Args:
        node: Value; dicts are changed in place.
    """
    if isinstance(node, PurePath):
        return str(node)
    if isinstance(node, dict):
        for key, value in node.items():
            node[key] = paths_as_text(value)
        return node
    return type(node)(map(paths_as_text, node)) if isinstance(node, (list, tuple)) else node


def move_data(configs: Sequence[Config], target: str | list[str]) -> None:
    """Moves the datasets of ``configs``: ``target`` replaces the common parent folder of their data roots.

    A list of targets turns each data root into a list.

    Raises:
        UserError: No dataset has a data root.
    """
    targets = target if isinstance(target, list) else [target]
    roots = [dict(paths_below(cfg, ('data_root',))) for cfg in configs]
    if not any(roots):
        raise UserError(
            f'data_root={target} changes nothing: no dataset of this config has a data_root; to train on a folder of '
            'images write --images FOLDER'
        )
    common = os.path.commonpath([os.path.abspath(root) for found in roots for root in found.values()] or [os.sep])
    for cfg, found in zip(configs, roots):
        # Metrics of mmdet and mmseg have the whole path of files below the data root.
        for place, path in paths_below(cfg, ('ann_file', 'seg_prefix')):
            if found and '_evaluator' in place and os.path.abspath(path).startswith(common + os.sep):
                found[place] = path
        moved: dict[str, str | list[str]] = {}
        for place, path in found.items():
            new = [os.path.normpath(os.path.join(folder, os.path.relpath(path, common))) for folder in targets]
            moved[place] = new if isinstance(target, list) else new[0]
        for key in cfg:
            cfg[key] = _replaced(cfg[key], moved, key)


def _replaced(node: Any, values: dict[str, str | list[str]], place: str) -> Any:
    """Returns ``node`` with ``values`` at their dotted keys; several values for one element extend its list."""
    if isinstance(node, dict):
        for key in node:
            node[key] = _replaced(node[key], values, f'{place}.{key}')
        return node
    if isinstance(node, (list, tuple)):
        items: list[Any] = []
        for i, item in enumerate(node):
            new = _replaced(item, values, f'{place}.{i}')
            items += new if isinstance(item, str) and isinstance(new, list) else [new]
        return type(node)(items)
    return values.get(place, node)


_FILES = ('load_from', 'checkpoint', 'labels', 'vocabulary')  # keys whose value is the path of a file


_TARGET = 'model.target.'


def missing_paths(cfg: Config, data: bool = True) -> list[str]:
    """Returns one message for each checkpoint and, with ``data``, each data folder of the config that does not exist.

    Paths that only a test reads are ignored if there is a training set, and paths that only a training reads if there
    is none.
    """
    trains = cfg.get('train_dataloader') is not None
    keys = (*_FILES, 'data_root') if data else _FILES
    places: dict[str, list[str]] = defaultdict(list)
    for place, path in paths_below(cfg, keys):
        unused = place.startswith('test_') and trains
        unused |= not (data and trains) and place.startswith(_TARGET)
        unused |= place.startswith('stages.')  # each stage is checked separately
        if path and '://' not in path and not unused and not _exists(path, place) and not _is_of_timm(path, place):
            places[path].append(place)
    problems = []
    for path, found in places.items():
        if found == ['load_from'] and cfg.get('resume'):
            problems.append(
                f'{path!r} does not exist (looked for {Path(path).absolute()}), the checkpoint to resume from; '
                'without a path, --resume takes the latest one of the work directory'
            )
            continue
        option = f'{found[0]}=/path' + (', for all datasets data_root=/path' if found[0].endswith('data_root') else '')
        problems.append(
            f'{path!r} does not exist (looked for {Path(path).absolute()}), which is the value of {", ".join(found)}; '
            f'to change it: --cfg-options {option}'
        )
    return problems


def _is_of_timm(name: str, place: str) -> bool:
    """Returns whether timm has weights of this name, and ``place`` is in a hook or a step, which take such names."""
    if not (place.startswith(('custom_hooks.', 'step.')) and place.endswith('.checkpoint')):
        return False
    import timm  # here, because it is slow to import

    model, _, tag = name.partition('.')
    return timm.is_model_pretrained(model) and (not tag or name in timm.list_pretrained(f'{model}.*'))


def _exists(path: str, place: str) -> bool:
    """Returns whether a file or folder exists, or, for a data root, whether files match the path as a pattern."""
    whole = Path(path).expanduser()
    return whole.exists() or 'data_root' in place.split('.')[-2:] and bool(glob(str(whole)))


def missing_target_weights(cfg: Config) -> dict[str, str]:
    """Returns dotted key -> path of files of weights under ``model.target`` that do not exist, without addresses."""
    found = {k: path for k, path in paths_below(cfg, ('checkpoint',)) if k.startswith(_TARGET)}
    return {k: path for k, path in found.items() if '://' not in path and not _exists(path, k)}
