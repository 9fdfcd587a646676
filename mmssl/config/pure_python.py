"""Configs in MMEngine's pure Python style: ``with read_base()``, and classes in place of their names."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry

from mmssl import registry


def with_names(cfg: Config) -> Config:
    """Returns a config of pure Python with the names of classes in place of classes, and without what it imports.

    From there on it is like any other: it can be printed, written into checkpoints and compared. A class of mmssl gets
    the name that it is registered under, with ``mmssl.`` before it in another scope; any other class its whole path,
    which registries find as well. Text that leads to no class stays as it is.

    Args:
        cfg: What ``Config.fromfile`` returned; a config of the other style is returned itself.
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
    """Whether ``path`` leads to a class, or to a function; a package also stands for what its modules register."""
    package, _, name = path.rpartition('.')
    try:
        found = getattr(import_module(package), name, None)
    except ImportError:
        return False
    tables = [table for table in vars(registry).values() if isinstance(table, Registry)]
    return callable(found) or found is None and any(name in table.module_dict for table in tables)
