"""Writes configs without formatting them, which takes longer than many a test run."""

from __future__ import annotations

from typing import Any

from yapf.yapflib import yapf_api


def write_configs_fast() -> None:
    """Makes ``Config.pretty_text`` valid Python that yapf has not formatted, in this process.

    A run writes its config about ten times: into its log, its folder and every checkpoint. Processes that tests start
    with a command line format it as ever.
    """
    yapf_api.FormatCode = _as_it_is


def _as_it_is(text: str, **style: Any) -> tuple[str, bool]:
    return text, False
