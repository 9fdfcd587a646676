"""Loading of a config, and application of command-line options to it."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from mmssl.compat.downstream import prepare_downstream
from mmssl.config.classes import read_classes, set_classes, set_ignored_labels
from mmssl.config.length import follow_length, old_length
from mmssl.config.options import option_path, renamed, write_options
from mmssl.config.paths import move_data, paths_as_text
from mmssl.config.preprocessor import place_preprocessor
from mmssl.config.pure_python import with_names
from mmssl.config.recipes import find_config
from mmssl.utils.errors import UserError

_DOWNSTREAM = ('mmdet', 'mmseg', '::')


def load_config(path: str | Path, cfg_options: dict[str, Any] | None = None) -> Config:
    """Reads a config file and applies command-line options to it.

    If the file does not set them, ``default_scope`` is ``mmssl`` and ``runner_type`` is ``PretrainRunner``. A config
    that names mmdet or mmseg makes mmcv's operators importable, compiled or not; other configs change nothing in
    MMEngine. Some options change several keys:

    - ``data_root`` moves all datasets: it replaces the common parent folder of their data roots, unless another option
      sets the data root of a dataset;
    - ``max_epochs`` and ``max_iters`` change the loop and the milestones of schedules, see ``config.length``;
    - ``classes`` and ``ignore_labels`` adapt a detection or segmentation config to another dataset, see
      ``config.classes``.

    Args:
        path: Config file, or the name of a recipe in the package.
        cfg_options: Dotted keys and values, as in ``--cfg-options``.

    Raises:
        UserError: The file does not exist, it or one of its bases cannot be read, or a ``custom_imports`` module fails.
    """
    path = find_config(path)
    if _needs_downstream(path):
        prepare_downstream()
    try:
        cfg = with_names(Config.fromfile(path))
        apply_options(cfg, cfg_options)
        _set_scope(cfg)
    except UserError:
        raise
    except Exception as error:  # a config is a program and may raise anything
        root: BaseException = error
        while cause := root.__cause__ or (root.__context__ if isinstance(root, ImportError) else None):
            root = cause
        outer = '' if root is error else str(error).partition(', the current sys.path')[0] + ': '
        raise UserError(f'config {str(path)!r} cannot be loaded: {outer}{type(root).__name__}: {root}') from error
    return cfg


def copy_config(cfg: Config, cfg_options: dict[str, Any] | None = None) -> Config:
    """Returns a copy of a config that was read by any means, with the changes that ``load_config`` makes to a file.

    Modules of ``custom_imports`` are imported, as MMEngine does while it reads a file.
    """
    cfg = with_names(deepcopy(cfg))
    apply_options(cfg, cfg_options)
    _set_scope(cfg)
    if cfg.default_scope != 'mmssl':
        prepare_downstream()
    _import_custom_modules(cfg, 'config')
    return cfg


def _set_scope(cfg: Config) -> None:
    """Sets the default scope and the runner, if the config does not, and gives paths and preprocessor their form."""
    paths_as_text(cfg._cfg_dict)
    place_preprocessor(cfg)
    cfg.setdefault('default_scope', 'mmssl')
    if cfg.default_scope == 'mmssl':
        cfg.setdefault('runner_type', 'PretrainRunner')
        _drop_scope(cfg._cfg_dict)


def _drop_scope(node: Any) -> None:
    """Removes ``_scope_='mmssl'`` from every dict of a config whose default scope is ``mmssl``.

    MMEngine writes it into the dicts of a base ``mmssl::...``, and passes it on to functions such as ``collate_fn``.
    """
    if isinstance(node, dict):
        if node.get('_scope_') == 'mmssl':
            del node['_scope_']
        node = list(node.values())
    for value in node if isinstance(node, (list, tuple)) else ():
        _drop_scope(value)


def _needs_downstream(path: Path) -> bool:
    """Returns whether a config, or a base of it, names mmdet or mmseg or inherits from an installed package.

    The files are read as text, before MMEngine reads them, because it needs ``prepare_downstream`` for such bases.
    """
    files, seen = [path], set()
    while files:
        file = files.pop().resolve()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        text = file.read_text(encoding='utf-8', errors='replace')
        if any(word in text for word in _DOWNSTREAM):
            return True
        files += [file.parent / name for name in re.findall(r"""['"]([^'"\n]+\.py)['"]""", text)]
    return False


def apply_options(cfg: Config, cfg_options: dict[str, Any] | None, source: str = '--cfg-options') -> None:
    """Writes options into ``cfg``; see ``load_config`` for options that change several keys.

    Args:
        cfg: Config, changed in place.
        cfg_options: Dotted keys and values.
        source: Origin of the options, for messages.

    Raises:
        UserError: An option would change nothing, it sets a key of a value that is not a dict, such as a loop that the
            config switches off, its value is not valid, or a module of ``custom_imports`` fails.
    """
    options = cfg_options or {}
    before = old_length(cfg)
    written = renamed(options, lambda key: None if key in ('classes', 'ignore_labels') else key)
    if 'data_root' in options:  # first, so that a data root that another option sets is not moved
        move_data([cfg], option_path(options, 'data_root'))
    write_options(cfg, written, source)
    if any(key.partition('.')[0] == 'custom_imports' for key in options):
        _import_custom_modules(cfg, source)
    follow_length(cfg, written, before)
    if 'classes' in options:
        names = read_classes(getattr(options, 'texts', options).get('classes', options['classes']))
        set_classes(cfg, names, written)
    if 'ignore_labels' in options:
        set_ignored_labels(cfg, options['ignore_labels'])
    tested: Any = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    if options and cfg.get('default_scope') == 'mmseg' and 'test_pipeline' in cfg and 'pipeline' in tested:
        cfg.test_pipeline = deepcopy(tested.pipeline)  # mmseg's inference reads test_pipeline


def _import_custom_modules(cfg: Config, source: str) -> None:
    try:
        import_modules_from_strings(**cfg.get('custom_imports') or {'imports': None})
    except (ImportError, TypeError) as error:
        cause = error.__context__ or error
        raise UserError(f'{source} custom_imports: {error}: {type(cause).__name__}: {cause}') from error


def drop_evaluations(cfg: Config) -> None:
    """Removes validation and test from ``cfg``, for tools that evaluate nothing: their data may be missing."""
    for part in ('dataloader', 'cfg', 'evaluator'):
        cfg[f'val_{part}'] = cfg[f'test_{part}'] = None


def evaluation_dataloader(cfg: Config, data: str) -> dict:
    """Returns the config of the dataloader for the ``'val'``, ``'test'`` or ``'bank'`` images.

    Raises:
        UserError: ``data`` is another word, or the config has no such dataloader.
    """
    loops: list[Any] = [cfg.get('val_cfg') or {}, cfg.get('test_cfg') or {}]
    loaders = dict(
        val=cfg.get('val_dataloader'),
        test=cfg.get('test_dataloader'),
        bank=next((loop.bank_dataloader for loop in loops if 'bank_dataloader' in loop), None),
    )
    if data not in loaders:
        raise UserError(f'data must be one of {", ".join(loaders)}, got {data!r}')
    if loaders[data] is None:
        present = [name for name, loader in loaders.items() if loader is not None]
        hint = '; a checkpoint of a run with --no-validate lacks them: give a config file that has them'
        raise UserError(f'the config has no {data} images; it has {", ".join(present) or "none at all"}{hint}')
    return loaders[data]
