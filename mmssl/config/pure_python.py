"""Configs in MMEngine's pure Python style: ``with read_base()``, and classes in place of their names."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config


def with_names(cfg: Config) -> Config:
    """Returns a config of pure Python with the names of classes in place of classes, and without what it imports.

    From there on it is like any other: it can be printed, written into checkpoints and compared. A class of mmssl gets
    the name that it is registered under, any other its whole path, which registries find as well.

    Args:
        cfg: What ``Config.fromfile`` returned; a config of the other style is returned itself.
    """
    if not getattr(cfg, '_imported_names', None):
        return cfg
    return Config(_named(cfg.to_dict()), filename=cfg.filename)


def _named(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _named(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_named(value) for value in node)
    if isinstance(node, str) and node.startswith('mmssl.') and ' ' not in node:
        return node.rpartition('.')[2]
    return node
