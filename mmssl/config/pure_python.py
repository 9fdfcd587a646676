"""Configs in MMEngine's pure Python style: ``with read_base()``, and classes instead of their names."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry

from mmssl import registry


def with_names(cfg: Config) -> Config:
    """Returns a pure Python config with the names of classes instead of classes, and without imported modules.

    The result is like any other config: it can be printed, written into checkpoints and compared. A class of mmssl gets
    its registered name, with ``mmssl.`` before it in another scope; any other class gets its whole path, which
    registries accept too. Text that is not the path of a class is not changed.

    Args:
        cfg: Config from ``Config.fromfile``; a config of the text style is returned unchanged.
    """
    if not getattr(cfg, '_imported_names', None):
        return cfg
    prefix = '' if cfg.get('default_scope', 'mmssl') == 'mmssl' else 'mmssl.'
    return Config(_named(cfg.to_dict(), prefix), filename=cfg.filename)


def _named(node: Any, prefix: str) -> Any:
    if isinstance(node, dict):
        return {key: _named(value, prefix) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_named(value, prefix) for value in node)
    if isinstance(node, str) and re.fullmatch(r'mmssl(\.\w+){2,}', node) and _is_class(node):
        return prefix + node.rpartition('.')[2]
    return node


def _is_class(path: str) -> bool:
    """Returns whether ``path`` is the path of a class or function, or of one that a module of a package registers."""
    package, _, name = path.rpartition('.')
    try:
        found = getattr(import_module(package), name, None)
    except ImportError:
        return False
    tables = [table for table in vars(registry).values() if isinstance(table, Registry)]
    return callable(found) or found is None and any(name in table.module_dict for table in tables)
