"""The place of the data preprocessor in a config."""

from __future__ import annotations

from mmengine.config import Config, ConfigDict


def place_preprocessor(cfg: Config | ConfigDict | dict) -> None:
    """Moves a top-level ``data_preprocessor`` into ``model``, unless the model has one of its own.

    MMEngine's runner gives it to the model while it builds it, and does not write it there. What reads the config
    afterwards, such as a program that loads the checkpoint, would build the model with another preprocessor.

    Args:
        cfg: Config, changed in place.
    """
    model = cfg.get('model')
    if isinstance(model, dict) and cfg.get('data_preprocessor') is not None and 'data_preprocessor' not in model:
        model['data_preprocessor'] = cfg.pop('data_preprocessor')
