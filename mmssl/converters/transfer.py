"""Loading of pre-trained weights into a model for a benchmark: a detector, a segmenter, a classifier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from mmssl.checkpoints.content import below, get_state_dict, unwrapped
from mmssl.checkpoints.matching import find_prefix, load_matching, load_whole, matching_share
from mmssl.converters.architecture import kind
from mmssl.converters.convert import convert, official_tensors
from mmssl.converters.detect import UnknownSourceError, detect_source
from mmssl.converters.public import find_public, in_timm, load_public, warn_of_normalization
from mmssl.converters.sources import SOURCES
from mmssl.distributed.shards import local_shard, shard_like
from mmssl.models.layers.input_channels import adapt_channels
from mmssl.utils.errors import UserError, some

Tensors = dict[str, Tensor]

_OTHER_NAMES = 0.5  # share of a backbone's tensors from which a file has this backbone, under another prefix


def transfer_weights(
    model: nn.Module, file: str | Path, use_teacher: bool = False, prefix: str | None = None, min_match: float = 0.99
) -> None:
    """Loads a pre-trained backbone and the neck that was trained with it, and logs one line for each part.

    - ``model.backbone`` gets the backbone of the file.
    - ``model.roi_head.shared_head`` of a detector with C4 features gets the last stage, ``layer4``.
    - ``model.neck`` gets the neck of the file. The file must contain it if the neck's class has
      ``pretrained_with_backbone = True``; any other neck keeps its weights if the file does not contain it.
    - ``model.mask_token`` gets the token of the file, as those of DINOv2, iBOT and BEiT have one.

    Args:
        model: Model with the attribute ``backbone``, of mmssl, mmdet, mmseg or another library on MMEngine.
        file: Training checkpoint or backbone file of mmssl, a file of an official code, timm, torchvision or Hugging
            Face, or a model of timm, see ``find_public``.
        use_teacher: Whether to load the averaged networks (``teacher.backbone``, ``teacher.neck``) instead of the
            trained ones.
        prefix: Prefix of the backbone's names, for a file that ``detect_source`` does not know.
        min_match: Share of the tensors of each part, in (0, 1], that must be in the file. The default allows for what
            pre-training does not have, such as relative positions; a warning names the missing tensors.

    Raises:
        UserError: The file does not exist, it fits several sources that convert it differently, it has less than
            ``min_match`` of a part, the first layer, class token or positions are missing, or a tensor has another
            shape. The message lists missing and available tensors.
    """
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, nn.Module):
        raise UserError(f'{type(model).__name__} has no backbone into which {file} can be loaded')
    file = find_public(file)
    content = load_public(file)
    tensors = read_algorithm(content, backbone, str(file), prefix)
    warn_of_normalization(model, str(file), content)
    owner = 'teacher.' if use_teacher else ''
    offered = below(tensors, f'{owner}backbone')
    if not offered:
        raise UserError(
            f'{file} contains no {"averaged (teacher) " if use_teacher else ""}backbone; '
            f'its names begin with {some(sorted({".".join(name.split(".")[:2]) for name in tensors}))}'
            f'{"; its teacher has one: give --use-teacher" if below(tensors, "teacher.backbone") else ""}'
        )
    _load_backbone(backbone, offered, str(file), '', min_match)
    shared_head = getattr(getattr(model, 'roi_head', None), 'shared_head', None)
    if isinstance(shared_head, nn.Module):
        for name, stage in shared_head.named_children():
            if name.startswith('layer'):
                load_matching(stage, below(offered, name), str(file), '', min_match, f'shared head, {name}')
    neck = getattr(model, 'neck', None)
    if isinstance(neck, nn.Module):
        _transfer_neck(neck, below(tensors, f'{owner}neck'), str(file), min_match)
    token, found = getattr(model, 'mask_token', None), tensors.get('mask_token')
    if isinstance(token, nn.Parameter) and found is not None and found.shape == token.shape:
        local_shard(token.detach()).copy_(local_shard(shard_like(found, token)))
        print_log(f'mask token: from {file}', logger='current')


def load_trained_weights(model: nn.Module, checkpoint: str, content: Any, prefix: str | None = None) -> None:
    """Loads a whole model from its training checkpoint, or only the backbone from any other file.

    Args:
        model: Model to load.
        checkpoint: Path of the file, for messages.
        content: Content of the file from ``load_checkpoint_file``.
        prefix: Prefix of the backbone's names in a file without a whole model; None finds it.

    Raises:
        UserError: The training checkpoint was written for another model, a tensor of the backbone is missing, or the
            model needs more than a backbone.
    """
    offered, backbone = get_state_dict(content), model.get_submodule('backbone')
    if prefix is None:
        offered = {unwrapped(name): tensor for name, tensor in offered.items()}
    if below(offered, 'backbone'):
        with _other_kinds_named(offered, backbone, checkpoint):
            load_whole(model, offered, checkpoint)
        return
    _load_backbone(backbone, offered, checkpoint, prefix)
    if hasattr(model, 'predict'):
        raise UserError(
            f'{checkpoint} contains only a backbone and no classifier, detector or segmenter: '
            'train one with tools/train.py CONFIG --pretrained CHECKPOINT'
        )


def read_algorithm(content: Any, backbone: nn.Module, file: str, prefix: str | None = None) -> Tensors:
    """Returns the tensors of a checkpoint of any kind by the names of an algorithm: ``backbone.*``, ``neck.*``.

    ``detect_source`` finds the source of the file. The names in a file of unknown source are not changed, except that
    ``backbone.`` is added if they lack it.

    Args:
        content: Content of the file from ``load_official_file``.
        backbone: Backbone into which the tensors will be loaded.
        file: Path of the file, for messages.
        prefix: Prefix of the backbone's names in the file; None calls ``detect_source``.

    Raises:
        UserError: The file contains no backbone that fits, or fits several sources that convert it differently.
    """
    if prefix is not None:
        offered = get_state_dict(content)
        named = below(offered, prefix) or below({unwrapped(name): value for name, value in offered.items()}, prefix)
        if not named:
            raise UserError(f'no tensor in {file} has the prefix {prefix.removesuffix(".") + "."!r}: {some(offered)}')
        return in_timm(backbone, _under_backbone(named))
    try:
        own = {unwrapped(name): value for name, value in get_state_dict(content).items()}
    except UserError:  # files of some official codes nest their tensors deeper
        own = {}
    try:
        source = detect_source(content)
    except UnknownSourceError:
        source = 'mmssl'
    tensors = convert(content, source) if source != 'mmssl' else own or official_tensors(content)
    readings = [tensors, _under_backbone(own)]
    readings += [in_timm(backbone, reading) for reading in readings]
    shares = [_share(backbone, reading) for reading in readings]
    if max(shares) > 0:
        return readings[shares.index(max(shares))]
    wanted = backbone.state_dict()
    elsewhere = find_prefix(wanted, own) or find_prefix(below(wanted, 'model'), own)  # timm's names in a TimmBackbone
    if matching_share(backbone, own, elsewhere) < _OTHER_NAMES:
        for reading in readings:
            if other := _other_kind(reading, backbone):
                raise UserError(f'{file} {other}: give a checkpoint or a config of the same kind')
    hint = f'; it has the names with the prefix {elsewhere!r}: give --prefix {elsewhere.removesuffix(".")}'
    raise UserError(
        f'{file} contains no backbone that fits: its names are those of neither mmssl nor {", ".join(SOURCES)}'
        f'{hint if elsewhere else ""}\n  missing: {some(wanted)}\n  unexpected: {some(own)}'
    )


def _load_backbone(
    backbone: nn.Module, offered: Tensors, file: str, prefix: str | None, min_match: float = 1.0
) -> None:
    offered, change = adapt_channels(backbone, offered)
    if change:
        print_log(change, logger='current')
    with _other_kinds_named(offered, backbone, file):
        load_matching(backbone, offered, file, prefix, min_match)


def _transfer_neck(neck: nn.Module, offered: Tensors, file: str, min_match: float) -> None:
    wanted = neck.state_dict()
    if not wanted:
        return
    prefix = find_prefix(wanted, offered)
    if getattr(neck, 'pretrained_with_backbone', False) or matching_share(neck, offered, prefix) >= min_match:
        load_matching(neck, offered, file, prefix, min_match, 'neck')
    else:
        print_log(
            f'neck: {type(neck).__name__} keeps its random weights because {file} does not contain it', logger='current'
        )


@contextmanager
def _other_kinds_named(offered: Tensors, backbone: nn.Module, file: str) -> Iterator[None]:
    """Adds to a ``UserError`` that ``offered`` belongs to a backbone of another kind, if it does."""
    try:
        yield
    except UserError as error:
        if other := _other_kind(offered, backbone):
            raise UserError(f'{file} {other}: give a checkpoint or a config of the same kind\n{error}') from error
        raise


def _other_kind(offered: Tensors, backbone: nn.Module) -> str | None:
    """Returns a message such as ``holds a VisionTransformer, the config has a ResNet``; None if kinds do not differ."""
    found = kind(below(offered, 'backbone') or below(offered, 'teacher.backbone') or offered)
    found = 'TimmBackbone' if found == 'Swin' else found
    if found in (None, 'MAE') or found in {
        cls.__name__ for cls in type(backbone).__mro__
    }:  # a WindowedViT is a VisionTransformer
        return None
    return f'holds a {found}, the config has a {type(backbone).__name__}'


def _share(backbone: nn.Module, tensors: Tensors) -> float:
    """Returns the share of the backbone's tensors in ``tensors``, of student or teacher; -1 if there is neither."""
    owners = [owner for owner in ('backbone', 'teacher.backbone') if below(tensors, owner)]
    return max((matching_share(backbone, tensors, owner) for owner in owners), default=-1.0)


def _under_backbone(tensors: Tensors) -> Tensors:
    return {f'backbone.{name}': value for name, value in tensors.items()}
