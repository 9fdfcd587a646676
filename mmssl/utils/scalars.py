"""Reading the scalars that a run logs."""

from __future__ import annotations

import json
from pathlib import Path


def read_scalars(path: str | Path) -> list[dict]:
    """Entries of a ``scalars.json``, one dict per line; a last line cut short by a killed run is left out."""
    entries = []
    for line in Path(path).read_text().splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return entries
