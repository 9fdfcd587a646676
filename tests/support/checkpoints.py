"""Loads checkpoint files in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.checkpoints.matching import load_matching


def load_file(module: nn.Module, file: str | Path, **options: Any) -> None:
    """Loads the weights of a module from a file with ``load_matching``."""
    load_matching(module, get_state_dict(load_checkpoint_file(file)), str(file), **options)
