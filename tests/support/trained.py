"""Writes training checkpoints without a training."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmssl.config.load import load_config
from mmssl.registry import MODELS


def save_trained(config: Path, path: Path, seed: int = 0) -> nn.Module:
    """Writes a training checkpoint with the initial weights of a config's model, and returns the model.

    Args:
        config: Config file.
        path: File of the checkpoint.
        seed: Seed of the initial weights.

    Returns:
        The model in evaluation mode.
    """
    torch.manual_seed(seed)
    cfg = load_config(config)
    init_default_scope('mmssl')
    model = MODELS.build(cfg.model).eval()
    torch.save(dict(meta=dict(cfg=cfg.pretty_text, epoch=1), state_dict=model.state_dict()), path)
    return model
