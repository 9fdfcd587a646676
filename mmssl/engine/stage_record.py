"""The record in the folder of a stage: the artefacts that it took, and whether it has finished."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmssl.checkpoints.files import replace_file
from mmssl.utils.errors import UserError

_RECORD = 'stage.json'


def read_record(folder: Path) -> dict[str, Any] | None:
    """Returns the record of the stage in ``folder``, None if there is none."""
    file = folder / _RECORD
    return json.loads(file.read_text()) if file.is_file() else None


def write_record(folder: Path, **values: Any) -> None:
    """Writes ``values`` as the record of the stage in ``folder``, atomically."""
    temporary = folder / f'{_RECORD}.tmp'
    temporary.write_text(json.dumps(values, indent=2) + '\n')
    replace_file(temporary, folder / _RECORD)


def check_artefact(taker: str, artefact: str, file: Path) -> None:
    """Checks that the file of an artefact exists and that the stage that leaves it has finished.

    A folder without a record is accepted, because its files may have been copied from another machine.

    Args:
        taker: Name of the stage that takes the artefact, for the message.
        artefact: Name of the artefact, ``'stage.artefact'``.
        file: File of the artefact, in the folder of the stage that leaves it.

    Raises:
        UserError: The file does not exist, or the stage was interrupted, so the file can be old or incomplete.
    """
    maker = artefact.partition('.')[0]
    if not file.is_file():
        raise UserError(
            f'stage {taker!r} takes {artefact!r}, whose file {file} does not exist: run stage {maker!r} first'
        )
    record = read_record(file.parent)
    if record is not None and not record['finished']:
        raise UserError(
            f'stage {taker!r} takes {artefact!r}, but stage {maker!r} in {file.parent} has not finished: '
            f'run stage {maker!r} again first, or continue it with --resume'
        )


def sha256(file: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with file.open('rb') as content:
        while block := content.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def move_aside(folder: Path) -> None:
    """Moves the checkpoints and the record of an earlier run aside, so that ``--resume`` does not use them."""
    files = [*folder.glob('*.pth'), *folder.glob(_RECORD), *folder.glob('last_checkpoint')]
    if files:
        aside = folder / time.strftime('replaced_%Y%m%d_%H%M%S')
        aside.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.rename(aside / file.name)
        print_log(f'{len(files)} files of an earlier run are now in {aside}', logger='current')
