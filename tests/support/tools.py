"""Imports the scripts in ``tools/`` as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def load_tool(path: str) -> ModuleType:
    """Imports the script ``tools/<path>``, so that a test can call its ``main``."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / 'tools' / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
