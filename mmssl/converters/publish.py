"""A checkpoint as it is given to others: tensors, plain facts, and a name that holds the hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from mmssl.checkpoints.content import below, get_state_dict, known_config
from mmssl.checkpoints.files import load_checkpoint_file, replace_file, save_checkpoint_file, save_safetensors
from mmssl.version import __version__

# Facts of a training that go with its weights; the rest of MMEngine's description tells of the machine.
_FACTS = ('algorithm', 'epoch', 'iter', 'cfg', 'checkpoint', 'source', 'backbone')


def publish(file: str | Path, out: str | Path, part: str | None = None, safetensors: bool = False) -> Path:
    """Writes the tensors of a checkpoint without the state of its training.

    Kept beside them are the config, as text, epoch and iteration. The file loads under
    ``torch.load(weights_only=True)``, and ``torch.hub.load_state_dict_from_url(check_hash=True)`` checks its name.

    Args:
        file: Training checkpoint or backbone file.
        out: Where to write it; ``-`` and more are put between the stem and the ending of this path.
        part: Keep this part only and strip its prefix, such as ``'backbone'`` or ``'teacher.backbone'``.
        safetensors: Write the format safetensors in place of torch's.

    Returns:
        The path written, ``{stem}_{YYYYMMDD}-{first 8 hex digits of the file's sha256}.pth`` or ``.safetensors``.

    Raises:
        FileNotFoundError: There is no ``file``.
        UserError: It is no checkpoint, or has no such part.
    """
    out = Path(out)
    checkpoint = load_checkpoint_file(file)
    tensors = get_state_dict(checkpoint)
    if part is not None:
        tensors = below(tensors, part, needed=True)
    # A view would take the whole tensor that it belongs to into the file.
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
        # As in a backbone file; the config is that of the whole.
        facts = {key: value for key, value in facts.items() if key != 'cfg'} | dict(checkpoint=name, backbone=backbone)
    return dict(mmssl_version=__version__) | facts
