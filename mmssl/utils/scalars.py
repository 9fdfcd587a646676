"""Reads the scalars that a run logs."""

from __future__ import annotations

import json
from pathlib import Path


def read_scalars(path: str | Path) -> list[dict]:
    """Returns the entries of a ``scalars.json``, one dict per line; skips a line that a killed run left incomplete."""
    entries = []
    for line in Path(path).read_text().splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return entries
