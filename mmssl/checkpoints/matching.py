"""Loading of a checkpoint's tensors into a module, with errors that list the tensors that do not match."""

from __future__ import annotations

import inspect
import logging
from collections import Counter

from mmengine.logging import print_log
from torch import Tensor, nn

from mmssl.checkpoints.adaptation import adapted
from mmssl.checkpoints.content import below
from mmssl.checkpoints.grids import TABLES
from mmssl.distributed.shards import shard_like
from mmssl.utils.errors import UserError, some

_REGISTERS = 'reg_token'
# Trained inputs of the blocks beside the first layer.
_INPUTS = ('cls_token', 'reg_token', 'pos_embed', 'absolute_pos_embed')
_COUNTER = 'num_batches_tracked'  # a batch counter is not a weight, and older files do not have it


def load_matching(
    module: nn.Module,
    offered: dict[str, Tensor],
    source: str,
    prefix: str | None = None,
    min_match: float = 1.0,
    name: str = 'backbone',
) -> None:
    """Loads tensors that were read from a file into a module or a part of a model.

    Position tables of another size are resized by the adapters of the module, see ``adapt_on_load``.

    Args:
        module: Module to load; if it is sharded, every process must call this.
        offered: Tensors of the file by name, from ``get_state_dict``.
        source: Path of the file, for messages.
        prefix: Prefix of the module's names in ``offered``, such as ``'backbone'``. None uses the prefix with most
            matching tensors, and the shortest of equally good ones, so that the student is loaded and not the teacher.
        min_match: Share of the module's tensors, in (0, 1], that the file must contain; a warning names those that are
            missing. Less than 1 is for training, never for features or predictions.
        name: Name of the module in messages.

    Raises:
        UserError: Fewer than ``min_match`` of the tensors are offered, the first layer, class token, registers or
            trained positions are missing, a tensor has another shape, or ``offered`` contains a deeper or larger
            module. The message lists missing and available tensors.
    """
    wanted = module.state_dict()
    found, matched, missing = _match(module, wanted, offered, prefix)
    total = len(matched) + len(missing)
    # The other layers were trained on the output of the first layer, and are useless without it or another input.
    first = next((key for key, value in wanted.items() if value.ndim > 1 and key.endswith('weight')), None)
    trained = [key for key, value in module.named_parameters() if key in _INPUTS and value.requires_grad]
    lacks_input = any(key in missing for key in (first, *trained))
    if not total or len(matched) < min_match * total or lacks_input or any(key in found for key in missing):
        lines = _mismatch(wanted, found, missing, offered, f'{name}: {len(matched)}/{total}', source)
        if first in missing and first in found and (option := _option_for(module, found[first], wanted[first])):
            lines.append(f'The file has another first layer: set model.backbone.{option} in the config.')
        if _REGISTERS in missing and _REGISTERS not in found:
            lines.append('The file has no registers: set model.backbone.arch.registers=0 in the config.')
        raise UserError('\n'.join(lines))
    surplus = [key for key in found if key not in wanted and _belongs(module, key)]
    if surplus:
        deeper = 'deeper' if any('.' in key for key in surplus) else 'larger'
        lines = [
            f'{source} contains a {deeper} {name}, so nothing was loaded: it has {len(surplus)} additional tensors'
        ]
        lines += [f'  unexpected: {some(surplus)}', 'give the config of the training that wrote the file']
        if _REGISTERS in surplus:
            lines[-1] += f', or set model.backbone.arch.registers={found[_REGISTERS].shape[1]}'
        raise UserError('\n'.join(lines))
    module.load_state_dict({key: shard_like(value, wanted[key]) for key, value in matched.items()}, strict=False)
    print_log(f'{name}: {len(matched)}/{total} tensors from {source}', logger='current')
    if missing:
        print_log(
            f'{name}: not in the file, so they keep their initial values: {", ".join(missing)}',
            logger='current',
            level=logging.WARNING,
        )


def load_whole(model: nn.Module, offered: dict[str, Tensor], source: str) -> None:
    """Loads every tensor of a model from a checkpoint of the same model, which must hold no other tensors.

    Args:
        model: Algorithm, detector or segmenter to load.
        offered: Tensors of the checkpoint by name.
        source: Path of the file, for messages.

    Raises:
        UserError: A tensor is missing, unknown or of another shape.
    """
    backbone = getattr(model, 'backbone', None)
    if isinstance(backbone, nn.Module) and not below(offered, 'backbone'):
        raise UserError(
            f'{source} has no tensors under backbone., so it contains no whole model: give a training checkpoint, '
            'such as epoch_N.pth, not its backbone file, or convert the file of another code first'
        )
    wanted, found = model.state_dict(), adapted(model, offered)
    missing = [key for key in wanted if key not in found and not key.endswith(_COUNTER)]
    shapes = [key for key in wanted if key in found and found[key].shape != wanted[key].shape]
    unexpected = [key for key in found if key not in wanted]
    odd = [*missing, *shapes, *unexpected]
    if isinstance(backbone, nn.Module) and any(key.startswith('backbone.') for key in odd):
        load_matching(backbone, offered, source, prefix='backbone', min_match=1.0)  # raises a more helpful error
    if odd:
        raise UserError(
            f'{source} contains another model than the {type(model).__name__} of this config, '
            f'so nothing was loaded: {len(odd)} of its tensors differ\n'
            f'  missing: {some(missing)}\n  of another shape: {some(shapes)}\n  unexpected: {some(unexpected)}\n'
            'give the config of its training, or its _backbone.pth file'
        )
    model.load_state_dict(found, strict=False)
    print_log(f'model: {len(wanted)}/{len(wanted)} tensors from {source}', logger='current')


def _belongs(module: nn.Module, key: str) -> bool:
    """Returns whether a tensor that ``module`` does not load changes what the module computes.

    Such a tensor is below a part of the module, is a parameter without which the module was built (its attribute is
    then None), or is a position table.
    """
    part = key.partition('.')[0]
    return part in dict(module.named_children()) or key in TABLES or getattr(module, key, module) is None


def matching_share(module: nn.Module, offered: dict[str, Tensor], prefix: str | None = None) -> float:
    """Returns the share in [0, 1] of the tensors of ``module`` that ``load_matching`` would load from ``offered``."""
    _, matched, missing = _match(module, module.state_dict(), offered, prefix)
    return len(matched) / max(len(matched) + len(missing), 1)


def _match(
    module: nn.Module, wanted: dict[str, Tensor], offered: dict[str, Tensor], prefix: str | None
) -> tuple[dict[str, Tensor], dict[str, Tensor], list[str]]:
    """Returns the tensors offered under the prefix, those that fit, and the names in ``wanted`` without a fit."""
    prefix = prefix_of(module, offered) if prefix is None else prefix
    found = adapted(module, below(offered, prefix))
    matched = {key: found[key] for key in wanted if key in found and found[key].shape == wanted[key].shape}
    missing = [key for key in wanted if key not in matched and not key.endswith(_COUNTER)]
    return found, matched, missing


def prefix_of(module: nn.Module, offered: dict[str, Tensor]) -> str:
    """Returns the prefix of the names of ``module`` in ``offered``, see ``find_prefix``.

    A module whose tensors have other names in files has a dict ``whole_names``: name in files -> own name, or None.
    """
    wanted = module.state_dict()
    prefix = find_prefix(wanted, offered)
    if prefix or any(name in offered for name in wanted):
        return prefix
    others: dict[str, str | None] = getattr(module, 'whole_names', {})
    return find_prefix({name: wanted[own] for name, own in others.items() if own is not None}, offered)


def find_prefix(wanted: dict[str, Tensor], offered: dict[str, Tensor]) -> str:
    """Returns the prefix under which ``offered`` has most of ``wanted``; the shortest if several are equally good."""
    matches: Counter[str] = Counter()
    by_last_name: dict[str, list[str]] = {}
    for key in wanted:
        by_last_name.setdefault(key.rpartition('.')[2], []).append(key)
    for key, value in offered.items():
        for candidate in by_last_name.get(key.rpartition('.')[2], ()):
            prefix = key[: len(key) - len(candidate)]
            if key.endswith(candidate) and (not prefix or prefix.endswith('.')):
                matches[prefix] += value.shape == wanted[candidate].shape
    return max(matches, key=lambda prefix: (matches[prefix], -len(prefix)), default='')


def _option_for(module: nn.Module, weight: Tensor, own: Tensor) -> str | None:
    """Returns the argument of the class that gives the first layer the channels, or the kernel, of ``weight``."""
    kernel = weight.shape[-1]
    arguments = inspect.signature(type(module).__init__).parameters
    if weight.ndim != 4:
        return None
    if own.ndim == 4 and own.shape[1] != weight.shape[1] and own.shape[2:] == weight.shape[2:]:
        return f'in_channels={weight.shape[1]}'
    if own.ndim == 4 and own.shape[-1] == kernel:  # another width
        return None
    if 'stem' in arguments:
        return f"stem='{'small' if kernel == 3 else 'imagenet'}'"
    return next((f'{key}={kernel}' for key in ('patch_size', 'stem_stride') if key in arguments), None)


def _mismatch(
    wanted: dict[str, Tensor],
    found: dict[str, Tensor],
    missing: list[str],
    offered: dict[str, Tensor],
    score: str,
    source: str,
) -> list[str]:
    shapes = [
        f'{key} {tuple(found[key].shape)} instead of {tuple(wanted[key].shape)}' for key in missing if key in found
    ]
    return [
        f'{score} tensors in {source} match, so nothing was loaded.',
        f'  missing: {some(key for key in missing if key not in found)}',
        f'  of another shape: {some(shapes)}',
        f'  unexpected: {some(key for key in found if key not in wanted)}',
        f'  offered: {some(offered)}',
        'The file contains another architecture, or names that have to be converted first.',
    ]
