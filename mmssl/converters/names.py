"""Names of parameters in other code bases and here.

An algorithm of mmssl holds ``backbone.*``, ``neck.layers.*``, ``head.predictor.layers.*``, and with a teacher
``teacher.backbone.*`` and ``teacher.neck.layers.*``. Official projectors and predictors are ``nn.Sequential``s in the
order of ours, so their indices carry over. Backbones keep the names of torchvision (``ResNet``) and timm
(``VisionTransformer``; those of timm 0.4.9, which MoCo v3 was written with, are the same).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_NAMES = {
    'torchvision': r'(conv1|bn1|layer[1-4]\.\d+\.(conv\d|bn\d|downsample\.[01]))\.\w+',
    'vit': (
        r'(cls_token|pos_embed|patch_embed\.proj\.(\d+\.)?\w+|norm\.\w+'
        r'|blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.\w+)'
    ),
}
_BACKBONE = f'({_NAMES["torchvision"]}|{_NAMES["vit"]})'

# CARE's two streams: official heads are projector and predictor in one sequence; some checkpoints say bot for trans.
_CARE_BLOCK = {0: 'conv_in', 1: 'norm_in', 5: 'norm_mid', 7: 'conv_out', 8: 'norm_out'}
_CARE = (
    (rf'({_BACKBONE})', r'backbone.\1'),
    (r'fc1\.([013]\.\w+)', r'neck.c_projector.layers.\1'),
    (r'fc2\.([013]\.\w+)', r'neck.t_projector.layers.\1'),
    (r'(?:trans|bot)\.net\.(\d+\.shortcut\.[01]\.\w+)', r'neck.attention.blocks.\1'),
    (r'(?:trans|bot)\.net\.(\d+)\.net\.3\.to_(qkv\.weight)', r'neck.attention.blocks.\1.attention.\2'),
    (r'(?:trans|bot)\.net\.(\d+)\.net\.3\.pos_emb\.(height|width)', r'neck.attention.blocks.\1.attention.\2'),
    *(
        (rf'(?:trans|bot)\.net\.(\d+)\.net\.{index}\.(\w+)', rf'neck.attention.blocks.\1.{layer}.\2')
        for index, layer in _CARE_BLOCK.items()
    ),
)
_CARE_PREDICTORS = tuple(
    (rf'student_encoder\.fc{number}\.{index + 4}\.(\w+)', rf'head.{stream}_predictor.layers.{index}.\1')
    for number, stream in ((1, 'c'), (2, 't'))
    for index in (0, 1, 3)
)

_DINO_WEIGHT = 'last_layer.parametrizations.weight.original'  # 0: gains, 1: directions

# Pattern of the whole name in the source -> name in mmssl, or None for what has no place here. The first match counts.
SOURCES: dict[str, tuple[tuple[str, str | None], ...]] = {
    'mocov3': (
        (r'base_encoder\.(?:fc|head)\.(\d+\.\w+)', r'neck.layers.\1'),
        (r'momentum_encoder\.(?:fc|head)\.(\d+\.\w+)', r'teacher.neck.layers.\1'),
        (r'predictor\.(\d+\.\w+)', r'head.predictor.layers.\1'),
        (rf'base_encoder\.({_BACKBONE})', r'backbone.\1'),
        (rf'momentum_encoder\.({_BACKBONE})', r'teacher.backbone.\1'),
    ),
    'moco': (
        (r'encoder_q\.fc\.(weight|bias)', r'neck.layers.0.\1'),  # v1: one linear layer
        (r'encoder_k\.fc\.(weight|bias)', r'teacher.neck.layers.0.\1'),
        (r'encoder_q\.fc\.(\d+\.\w+)', r'neck.layers.\1'),  # v2: two
        (r'encoder_k\.fc\.(\d+\.\w+)', r'teacher.neck.layers.\1'),
        (rf'encoder_q\.({_BACKBONE})', r'backbone.\1'),
        (rf'encoder_k\.({_BACKBONE})', r'teacher.backbone.\1'),
        (r'queue', 'queue.features'),
        (r'queue_ptr', 'queue.pointer'),
    ),
    'simsiam': (
        (r'encoder\.fc\.(\d+\.\w+)', r'neck.layers.\1'),
        (r'predictor\.(\d+\.\w+)', r'head.predictor.layers.\1'),
        (rf'encoder\.({_BACKBONE})', r'backbone.\1'),
    ),
    'care': (
        *(
            (rf'{encoder}_encoder\.{pattern}', ours if encoder == 'student' else f'teacher.{ours}')
            for encoder in ('student', 'teacher')
            for pattern, ours in _CARE
        ),
        *_CARE_PREDICTORS,
    ),
    'barlowtwins': (
        (r'projector\.(\d+\.\w+)', r'neck.layers.\1'),
        (r'bn\.(\w+)', r'neck.layers.7.\1'),  # after the three linear layers
        (rf'(?:backbone\.)?({_BACKBONE})', r'backbone.\1'),  # backbone files have no prefix
    ),
    'vicreg': (
        (r'projector\.(\d+\.\w+)', r'neck.layers.\1'),
        (rf'(?:backbone\.)?({_BACKBONE})', r'backbone.\1'),
    ),
    'dino': (  # the heads of student and teacher, the center; a release of the backbone has bare names
        (r'(?:dino_loss\.)?center', r'targets.center'),
        (rf'(?:student\.(?:module\.)?)?(?:backbone\.)?({_BACKBONE})', r'backbone.\1'),
        (rf'teacher\.(?:module\.)?(?:backbone\.)?({_BACKBONE})', r'teacher.backbone.\1'),
        *(
            (rf'{network}\.(?:module\.)?head\.{theirs}', ours)
            for network, part in (('student', 'neck'), ('teacher', 'teacher.neck'))
            for theirs, ours in (
                (r'mlp\.(\d+\.\w+)', rf'{part}.layers.\1'),
                (r'last_layer\.(?:weight_g|parametrizations\.weight\.original0)', f'{part}.{_DINO_WEIGHT}0'),
                (r'last_layer\.(?:weight_v|parametrizations\.weight\.original1)', f'{part}.{_DINO_WEIGHT}1'),
            )
        ),
    ),
    'torchvision': ((r'fc\.\w+', None), (f'({_NAMES["torchvision"]})', r'backbone.\1')),
    'timm': ((r'(fc|head)\.\w+', None), (f'({_BACKBONE})', r'backbone.\1')),
}
SOURCES['mocov1'] = SOURCES['mocov2'] = SOURCES['moco']

# Official tensors of another shape: columns of MoCo's queue, and its pointer as a vector of one.
_RESHAPE = {
    'queue.features': lambda queue: queue.T.contiguous(),
    'queue.pointer': lambda pointer: pointer.reshape(()),
}
_TARGETS = {'torchvision': _NAMES['torchvision'], 'timm': _BACKBONE}


def rename(name: str, source: str) -> str | None:
    """Translates one name.

    Args:
        name: Name of a tensor in the source, ``module.`` of a distributed wrapper or not.
        source: A key of ``SOURCES``.

    Returns:
        Its name in an algorithm of mmssl, or None for a supervised classifier, which has no place here.

    Raises:
        ValueError: ``source`` is unknown.
        KeyError: The source has no tensor of this name.
    """
    if source not in SOURCES:
        raise ValueError(f'source must be one of {sorted(SOURCES)}, got {source!r}')
    for pattern, ours in SOURCES[source]:
        match = re.fullmatch(rf'(?:module\.)?{pattern}', name)
        if match:
            return None if ours is None else match.expand(ours)
    raise KeyError(name)


def convert(state_dict: Mapping[str, Tensor], source: str, part: str | None = None) -> dict[str, Tensor]:
    """Converts an official checkpoint into the state dict of an algorithm, or of one part of it.

    Args:
        state_dict: Tensors by their official names, or a checkpoint that holds them under ``state_dict`` or ``model``.
        source: ``'mocov3'``, ``'moco'`` (``'mocov1'`` and ``'mocov2'`` mean the same), ``'simsiam'``, ``'care'``,
            ``'barlowtwins'``, ``'vicreg'``, ``'dino'``, ``'torchvision'`` or ``'timm'`` (its ResNets and plain vision
            transformers).
        part: Keep this part only and strip its prefix: ``'backbone'`` or ``'teacher.backbone'`` load into a backbone.

    Returns:
        Tensors by the names of the algorithm; MoCo's queue (D, Q) becomes rows (Q, D), its pointer a scalar.

    Raises:
        ValueError: ``source`` is unknown, names in ``state_dict`` do not belong to it, or ``part`` has no tensor.
    """
    converted, unknown = {}, []
    for name, tensor in _tensors(state_dict).items():
        try:
            ours = rename(name, source)
        except KeyError:
            unknown.append(name)
            continue
        if ours is not None:
            converted[ours] = _RESHAPE[ours](tensor) if ours in _RESHAPE else tensor
    _raise_unknown(unknown, f'source {source!r}')
    return converted if part is None else _part(converted, part)


def export(state_dict: Mapping[str, Tensor], target: str, part: str = 'backbone') -> dict[str, Tensor]:
    """Gives the backbone in a training checkpoint, or a backbone file, the names of torchvision or timm.

    The result loads into ``torchvision.models.resnet50`` (``strict=False``, as it has no ``fc``), or into a timm model
    created with ``num_classes=0``; for a transformer that was trained with ``output='mean'`` create it with
    ``global_pool='avg', fc_norm=False``.

    Args:
        state_dict: Tensors, or a checkpoint that holds them under ``state_dict``.
        target: ``'torchvision'`` or ``'timm'``.
        part: ``'backbone'``, or ``'teacher.backbone'`` for the averaged one, where the names begin with parts.

    Returns:
        The backbone's tensors by the target's names.

    Raises:
        ValueError: ``target`` is unknown, or the backbone is none that ``target`` has.
    """
    if target not in _TARGETS:
        raise ValueError(f'target must be one of {sorted(_TARGETS)}, got {target!r}')
    tensors = _tensors(state_dict)
    is_algorithm = any(name.startswith('backbone.') for name in tensors)
    backbone = _part(tensors, part) if is_algorithm else dict(tensors)
    if target == 'timm' and all(name.startswith('model.') for name in backbone):  # TimmBackbone, any timm model
        return _part(backbone, 'model')
    _raise_unknown([name for name in backbone if not re.fullmatch(_TARGETS[target], name)], f'target {target!r}')
    return backbone


def _tensors(checkpoint: Mapping) -> Mapping[str, Tensor]:
    if all(isinstance(checkpoint.get(part), Mapping) for part in ('student', 'teacher')):  # DINO
        parts = [part for part in ('student', 'teacher', 'dino_loss') if part in checkpoint]
        return {f'{part}.{name}': tensor for part in parts for name, tensor in checkpoint[part].items()}
    for key in ('state_dict', 'model'):
        if isinstance(checkpoint.get(key), Mapping):
            return checkpoint[key]
    return checkpoint


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = part + '.'
    chosen = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    if not chosen:
        raise ValueError(f'no tensor under {part!r}; the names begin with {sorted({n.split(".")[0] for n in tensors})}')
    return chosen


def _raise_unknown(names: list[str], where: str) -> None:
    if names:
        shown = ', '.join(names[:10]) + (', ...' if len(names) > 10 else '')
        raise ValueError(f'{len(names)} names do not belong to {where}: {shown}')
