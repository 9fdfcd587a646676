"""Publication of a checkpoint: tensors, plain facts, and a file name with the hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from mmssl.checkpoints.content import below, get_state_dict, known_config, known_preprocessor
from mmssl.checkpoints.files import load_checkpoint_file, replace_file, save_checkpoint_file, save_safetensors
from mmssl.version import __version__

# Facts about the training that are published; the rest of MMEngine's ``meta`` describes the machine.
_FACTS = ('algorithm', 'epoch', 'iter', 'cfg', 'checkpoint', 'source', 'backbone', 'data_preprocessor')


def publish(file: str | Path, out: str | Path, part: str | None = None, safetensors: bool = False) -> Path:
    """Writes the tensors of a checkpoint without optimizer and other state of the training.

    The file also contains the config as text, epoch and iteration. ``torch.load(weights_only=True)`` loads it, and
    ``torch.hub.load_state_dict_from_url(check_hash=True)`` can check its name.

    Args:
        file: Training checkpoint or backbone file.
        out: Path to write; date and hash are inserted between its stem and its ending.
        part: Prefix of the part to keep, such as ``'backbone'`` or ``'teacher.backbone'``, which is removed from the
            names; None keeps everything.
        safetensors: Whether to write the format safetensors instead of torch's.

    Returns:
        The path written, ``{stem}_{YYYYMMDD}-{first 8 hex digits of the file's sha256}.pth`` or ``.safetensors``.

    Raises:
        FileNotFoundError: ``file`` does not exist.
        UserError: ``file`` is not a checkpoint, or lacks the part.
    """
    out = Path(out)
    checkpoint = load_checkpoint_file(file)
    tensors = get_state_dict(checkpoint)
    if part is not None:
        tensors = below(tensors, part, needed=True)
    # torch.save would write the whole storage of a view.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    meta = _facts(checkpoint, part, Path(file).name)
    out.parent.mkdir(parents=True, exist_ok=True)
    suffix = '.safetensors' if safetensors else '.pth'
    unnamed = out.with_name(f'{out.stem}.unnamed{suffix}')
    if safetensors:
        save_safetensors(tensors, unnamed, meta)
    else:
        save_checkpoint_file(dict(state_dict=tensors, meta=meta), unnamed)
    named = out.with_name(f'{out.stem}_{date.today():%Y%m%d}-{_sha256(unnamed)[:8]}{suffix}')
    replace_file(unnamed, named)
    return named


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open('rb') as opened:
        while chunk := opened.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _facts(checkpoint: Mapping[str, Any], part: str | None, name: str) -> dict[str, Any]:
    meta = checkpoint.get('meta')
    facts = {key: meta[key] for key in _FACTS if key in meta} if isinstance(meta, Mapping) else {}
    if part in ('backbone', 'teacher.backbone') and (backbone := known_config(checkpoint)):
        # As in a backbone file: without the config, which describes the whole algorithm.
        facts = {key: value for key, value in facts.items() if key != 'cfg'} | dict(checkpoint=name, backbone=backbone)
        facts['data_preprocessor'] = known_preprocessor(checkpoint)
    return dict(mmssl_version=__version__) | facts
