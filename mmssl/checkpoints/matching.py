"""Loading into a module the tensors of a checkpoint that match it, and saying what does not."""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.utils.errors import UserError


def load_backbone(module: nn.Module, file: str | Path, prefix: str | None = None, min_match: float = 0.99) -> None:
    """Loads a backbone from any checkpoint that contains it.

    Position embeddings of another size are resized where the backbone does so when it loads a state dict.

    Args:
        module: The backbone.
        file: Training checkpoint, backbone file, or another checkpoint with the backbone's names under a prefix.
        prefix: What precedes the backbone's names in the file, e.g. ``'backbone'``. None finds the prefix under which
            most tensors match; of equal ones the shortest, so that a student precedes its teacher.
        min_match: Share of the backbone's tensors, in (0, 1], that must be in the file.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: Fewer than ``min_match`` of the tensors are in the file, its first layer is not, or a tensor has
            another shape; lists what is missing and what was offered.
    """
    offered = get_state_dict(load_checkpoint_file(file))
    load_matching(module, offered, str(file), prefix, min_match)


def load_matching(
    module: nn.Module,
    offered: dict[str, Tensor],
    source: str,
    prefix: str | None = None,
    min_match: float = 0.99,
    name: str = 'backbone',
) -> None:
    """Loads from ``offered`` the tensors of ``module`` that match, as ``load_backbone`` does from a file.

    Args:
        module: Any module.
        offered: Tensors by name.
        source: Where they come from, for messages.
        prefix: As in ``load_backbone``.
        min_match: As in ``load_backbone``.
        name: What ``module`` is called in messages.

    Raises:
        UserError: Fewer than ``min_match`` of the tensors are offered, the first layer is not, one has another shape,
            or what is offered is deeper than ``module``.
    """
    wanted = module.state_dict()
    found, matched, missing = _match(module, wanted, offered, prefix)
    total = len(matched) + len(missing)
    # A network without its first layer has lost what the others were trained on.
    first = next((key for key, value in wanted.items() if value.ndim > 1 and key.endswith('weight')), None)
    if not total or len(matched) < min_match * total or first in missing or any(key in found for key in missing):
        lines = _mismatch(wanted, found, missing, offered, f'{name}: {len(matched)}/{total}', source)
        if first in missing and first in found and (option := _option_for(module, found[first])):
            lines.append(f'The first layer of the file is another one: set model.backbone.{option} in the config.')
        raise UserError('\n'.join(lines))
    parts = dict(module.named_children())
    surplus = [key for key in found if key not in wanted and key.partition('.')[0] in parts]
    if surplus:
        raise UserError(
            f'{source} holds a deeper {name} than this one, so nothing was loaded: it has {len(surplus)} tensors more\n'
            f'  unexpected: {_some(surplus)}\ngive the configuration that the file was written with'
        )
    module.load_state_dict(matched, strict=False)
    print_log(f'{name}: {len(matched)}/{total} tensors from {source}', logger='current')
    if missing:
        print_log(f'{name}: not in the file: {", ".join(missing)}', logger='current')


def matching_share(module: nn.Module, offered: dict[str, Tensor], prefix: str | None = None) -> float:
    """Share in [0, 1] of the tensors of ``module`` that ``load_matching`` would load from ``offered``."""
    _, matched, missing = _match(module, module.state_dict(), offered, prefix)
    return len(matched) / max(len(matched) + len(missing), 1)


def _match(
    module: nn.Module, wanted: dict[str, Tensor], offered: dict[str, Tensor], prefix: str | None
) -> tuple[dict[str, Tensor], dict[str, Tensor], list[str]]:
    """What is offered under the prefix, what of it fits, and the names of ``wanted`` that nothing fits."""
    if prefix is None:
        prefix = find_prefix(wanted, offered)
    elif prefix and not prefix.endswith('.'):
        prefix += '.'
    found = {key[len(prefix) :]: value for key, value in offered.items() if key.startswith(prefix)}
    run_loading_hooks(module, found)
    matched = {key: found[key] for key in wanted if key in found and found[key].shape == wanted[key].shape}
    # Batch counters carry no weights, and older files do not have them.
    missing = [key for key in wanted if key not in matched and not key.endswith('num_batches_tracked')]
    return found, matched, missing


def run_loading_hooks(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Lets the parts of ``module`` adapt ``state`` as they do while loading, e.g. resize position embeddings."""
    for name, part in module.named_modules():
        for hook in part._load_state_dict_pre_hooks.values():
            hook(state, f'{name}.' if name else '', {}, False, [], [], [])


def find_prefix(wanted: dict[str, Tensor], offered: dict[str, Tensor]) -> str:
    """Returns the prefix under which most of ``wanted`` is in ``offered``; of equal ones the shortest."""
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


def _option_for(module: nn.Module, weight: Tensor) -> str | None:
    """The argument of the class of ``module`` that gives its first layer the kernel of ``weight`` (O, I, H, W)."""
    kernel = weight.shape[-1]
    arguments = inspect.signature(type(module).__init__).parameters
    if weight.ndim != 4:
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
        f'  missing: {_some([key for key in missing if key not in found])}',
        f'  of another shape: {_some(shapes)}',
        f'  unexpected: {_some([key for key in found if key not in wanted])}',
        f'  offered: {_some(list(offered))}',
        'The file holds another architecture, or a name scheme that has to be converted first.',
    ]


def _some(names: list[str], limit: int = 10) -> str:
    return ', '.join(names[:limit]) + (f', ... ({len(names)} in all)' if len(names) > limit else '') or 'none'
