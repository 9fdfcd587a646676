"""Configs of backbones whose weights come from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_published(backbone: Any) -> Any:
    """Returns the config of a backbone with ``pretrained=False`` in place of True, also inside an ``AdaptedInput``.

    ``TimmBackbone(pretrained=True)`` fetches published weights when it is built: in vain if a checkpoint replaces them,
    and impossible without a network.
    """
    if not isinstance(backbone, Mapping):
        return backbone
    return {
        key: False if key == 'pretrained' and value is True else without_published(value)
        for key, value in backbone.items()
    }


def model_of_checkpoint(model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the config of a model that will load a checkpoint: its backbone fetches no published weights."""
    return dict(model, backbone=without_published(model['backbone'])) if 'backbone' in model else dict(model)
