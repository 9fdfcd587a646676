"""Pre-trained weights into a model that is to be trained on: a detector, a segmenter, a classifier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from mmengine.logging import print_log
from torch import Tensor, nn

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.matching import find_prefix, load_matching, matching_share, run_loading_hooks
from mmssl.converters.architecture import kind
from mmssl.converters.arrays import load_official_file
from mmssl.converters.convert import convert
from mmssl.converters.sources import SOURCES
from mmssl.utils.errors import UserError

Tensors = dict[str, Tensor]


def transfer_weights(
    model: nn.Module, file: str | Path, use_teacher: bool = False, prefix: str | None = None, min_match: float = 0.99
) -> None:
    """Loads what pre-training gave into ``model``, and says on one line for each part how much it was.

    - ``model.backbone`` from the backbone of the file;
    - ``layer4`` of ``model.roi_head.shared_head``, where a detector of the C4 kind keeps its last stage, likewise;
    - ``model.neck`` from the neck of the file. It must be there if the neck's class says
      ``pretrained_with_backbone = True``; another neck is loaded if its tensors are there and left alone if not.

    Args:
        model: With a ``backbone``, of any library of MMEngine's family.
        file: A training checkpoint or backbone file of mmssl, or a file of an official code, timm or torchvision that
            ``mmssl.converters`` knows.
        use_teacher: Take the averaged networks (``teacher.backbone``, ``teacher.neck``) in place of the trained ones.
        prefix: What precedes the backbone's names, in a file of another kind.
        min_match: Share of the tensors of each part, in (0, 1], that must be in the file.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: Too little of a part is there, its first layer is not, or a tensor has another shape; lists what is
            missing, unexpected and of another shape.
    """
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, nn.Module):
        raise UserError(f'{type(model).__name__} has no backbone that {file} could be loaded into')
    tensors = read_algorithm(file, backbone, prefix)
    owner = 'teacher.' if use_teacher else ''
    offered = _part(tensors, f'{owner}backbone.')
    if not offered:
        raise UserError(
            f'{file} holds no {"averaged (teacher) " if use_teacher else ""}backbone; '
            f'its names begin with {", ".join(sorted({".".join(name.split(".")[:2]) for name in tensors})[:10])}'
        )
    _load_backbone(backbone, offered, str(file), '', min_match)
    shared_head = getattr(getattr(model, 'roi_head', None), 'shared_head', None)
    if isinstance(shared_head, nn.Module):
        for name, stage in shared_head.named_children():
            if name.startswith('layer'):
                load_matching(stage, _part(offered, f'{name}.'), str(file), '', min_match, f'shared head, {name}')
    if isinstance(getattr(model, 'neck', None), nn.Module):
        _transfer_neck(cast(nn.Module, model.neck), _part(tensors, f'{owner}neck.'), str(file), min_match)


def load_trained_weights(model: nn.Module, checkpoint: str, content: Any) -> None:
    """Loads ``model`` from a training checkpoint of the same model, or its backbone alone from another file.

    Args:
        model: The model.
        checkpoint: The file, for messages.
        content: What ``load_checkpoint_file`` returned.

    Raises:
        UserError: The training checkpoint was written for another model, or the model needs more than a backbone.
    """
    offered = get_state_dict(content)
    _load_backbone(cast(nn.Module, model.backbone), offered, checkpoint, None)
    if not any(name.startswith('backbone.') for name in offered):  # a backbone file, or one from elsewhere
        if hasattr(model, 'predict'):
            raise UserError(
                f'{checkpoint} holds a backbone and no classifier, detector or segmenter on it: '
                'train one with tools/train.py CONFIG --pretrained CHECKPOINT'
            )
        return
    offered = dict(offered)
    run_loading_hooks(model, offered)
    expected = {name: value.shape for name, value in model.state_dict().items()}
    found = {name: value.shape for name, value in offered.items()}
    odd = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if odd:
        raise UserError(
            f'{checkpoint} was written while training another model than the {type(model).__name__} of this config: '
            f'{len(odd)} tensors beside the backbone differ, such as {", ".join(odd[:3])}; '
            'give the config that it was trained with, or the _backbone.pth file beside it'
        )
    model.load_state_dict(offered)


def _load_backbone(
    backbone: nn.Module, offered: Tensors, file: str, prefix: str | None, min_match: float = 0.99
) -> None:
    try:
        load_matching(backbone, offered, file, prefix, min_match)
    except UserError as error:
        if other := _other_kind(offered, backbone):
            raise UserError(f'{file} {other}: name a checkpoint or a config of the same kind\n{error}') from error
        raise


def read_algorithm(file: str | Path, backbone: nn.Module, prefix: str | None = None) -> Tensors:
    """Reads a checkpoint of any kind as the tensors of an algorithm: ``backbone.*``, ``neck.*``, ``teacher.*``.

    Args:
        file: As of ``transfer_weights``.
        backbone: Tells among several possible readings of the names which one is right.
        prefix: As of ``transfer_weights``.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: No reading gives a backbone; lists the names.
    """
    checkpoint = load_official_file(file)
    if prefix is not None:
        prefix = prefix.removesuffix('.') + '.' if prefix else ''
        named = _part(get_state_dict(checkpoint), prefix)
        if not named:
            raise UserError(f'no tensor in {file} has the prefix {prefix!r}: {_names(get_state_dict(checkpoint))}')
        return _under_backbone(named)
    best: tuple[float, Tensors] = (-1.0, {})
    for tensors in _readings(checkpoint):
        prefixes = [owner for owner in ('backbone.', 'teacher.backbone.') if any(k.startswith(owner) for k in tensors)]
        share = max((matching_share(backbone, tensors, owner) for owner in prefixes), default=-1.0)
        if share > best[0]:
            best = share, tensors
        if share >= 0.99:
            break
    if best[0] > 0:
        return best[1]
    offered = get_state_dict(checkpoint)
    wanted = backbone.state_dict()
    if other := next(filter(None, (_other_kind(tensors, backbone) for tensors in _readings(checkpoint))), None):
        raise UserError(f'{file} {other}: name a checkpoint or a config of the same kind')
    elsewhere = find_prefix(wanted, offered)
    hint = f'; its names are there with the prefix {elsewhere!r}: --prefix {elsewhere.removesuffix(".")}'
    raise UserError(
        f'{file} holds no backbone that fits: its tensors are neither called as in mmssl nor as in {", ".join(SOURCES)}'
        f'{hint if elsewhere else ""}\n  missing: {_names(wanted)}\n  unexpected: {_names(offered)}'
    )


def _readings(checkpoint: Any) -> Iterator[Tensors]:
    """The tensors under the names of an algorithm: as they are, as those of a backbone alone, and as converted."""
    try:
        tensors = {name.removeprefix('module.'): value for name, value in get_state_dict(checkpoint).items()}
    except UserError:  # an official checkpoint in which they lie deeper
        tensors = {}
    if tensors:
        yield tensors
        yield _under_backbone(tensors)
    for source in SOURCES:
        try:
            converted = convert(checkpoint, source)
        except ValueError:  # names that are not of this source
            continue
        yield converted


def _transfer_neck(neck: nn.Module, offered: Tensors, file: str, min_match: float) -> None:
    wanted = neck.state_dict()
    if not wanted:
        return
    prefix = find_prefix(wanted, offered)
    if getattr(neck, 'pretrained_with_backbone', False) or matching_share(neck, offered, prefix) >= min_match:
        load_matching(neck, offered, file, prefix, min_match, 'neck')
    else:
        print_log(f'neck: {type(neck).__name__} keeps its random weights, it is not in {file}', logger='current')


def _other_kind(offered: Tensors, backbone: nn.Module) -> str | None:
    """The clause ``holds a VisionTransformer, the config has a ResNet``; None where the names do not tell, or agree."""
    parts = (_part(offered, owner) for owner in ('backbone.', 'teacher.backbone.'))
    found = kind(next((part for part in parts if part), offered))
    found = 'TimmBackbone' if found == 'Swin' else found
    if found in (None, 'MAE') or found == type(backbone).__name__:
        return None
    return f'holds a {found}, the config has a {type(backbone).__name__}'


def _part(tensors: Tensors, prefix: str) -> Tensors:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _under_backbone(tensors: Tensors) -> Tensors:
    return {f'backbone.{name}': value for name, value in tensors.items()}


def _names(tensors: Tensors, limit: int = 10) -> str:
    names = list(tensors)
    return ', '.join(names[:limit]) + (f', ... ({len(names)} in all)' if len(names) > limit else '')
