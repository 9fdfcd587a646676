"""What the folder of a stage says of it: what the stage took, and whether it has finished."""

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
    """Returns the record of the stage in ``folder``, None where there is none."""
    file = folder / _RECORD
    return json.loads(file.read_text()) if file.is_file() else None


def write_record(folder: Path, **values: Any) -> None:
    """Writes the record of the stage in ``folder``, in one step."""
    temporary = folder / f'{_RECORD}.tmp'
    temporary.write_text(json.dumps(values, indent=2) + '\n')
    replace_file(temporary, folder / _RECORD)


def check_artefact(taker: str, artefact: str, file: Path) -> None:
    """Looks for the file of an artefact, and whether the stage that leaves it has finished.

    A folder without a record is taken as it is: its files may have been copied there.

    Args:
        taker: Name of the stage that takes the artefact, for the message.
        artefact: ``'stage.artefact'``.
        file: In the folder of the stage that leaves it.

    Raises:
        UserError: There is no such file, or the stage was interrupted, so the file may be old or incomplete.
    """
    maker = artefact.partition('.')[0]
    if not file.is_file():
        raise UserError(
            f'stage {taker!r} takes {artefact!r}, whose file {file} does not exist: run stage {maker!r} first'
        )
    record = read_record(file.parent)
    if record is not None and not record['finished']:
        raise UserError(
            f'stage {taker!r} takes {artefact!r}, and stage {maker!r} began in {file.parent} and has not finished: '
            f'run stage {maker!r} again first, or go on with it by --resume'
        )


def sha256(file: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with file.open('rb') as content:
        while block := content.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def move_aside(folder: Path) -> None:
    """Moves what an earlier run has left, so that a later ``--resume`` does not go on from it."""
    files = [*folder.glob('*.pth'), *folder.glob(_RECORD), *folder.glob('last_checkpoint')]
    if files:
        aside = folder / time.strftime('replaced_%Y%m%d_%H%M%S')
        aside.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.rename(aside / file.name)
        print_log(f'{len(files)} files of an earlier run are now in {aside}', logger='current')
