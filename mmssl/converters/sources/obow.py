"""valeoai/obow: residual and wide residual networks, optionally with teacher; words and predictor are dropped."""

from __future__ import annotations

import re

from torch import Tensor

from mmssl.converters.source import Source, Tensors

_NETWORKS = {r'(?:feature_extractor\.)?': '', r'feature_extractor_teacher\.': 'teacher.'}
# Official names in a block of a wide residual network -> names of mmssl.
_WIDE = {
    r'convResidual\.bn([12])': r'act\1.bn',
    r'convResidual\.(conv[12])': r'\1',
    r'convShortcut': 'shortcut',
}


def _wide_names(tensors: Tensors) -> dict[str, Tensor]:
    """Renames a wide residual network to ``wide.`` and mmssl's names, because its names overlap with a ResNet's."""
    if not any('.Block.layer.' in name for name in tensors):
        return dict(tensors)
    return {_wide_name(name): tensor for name, tensor in tensors.items()}


def _wide_name(name: str) -> str:
    name = re.sub(r'_feature_blocks\.0\.(Conv|BN)', lambda m: f'wide.stem.{m[1].lower()}', name)
    name = re.sub(r'_feature_blocks\.(\d)\.BN', lambda m: f'wide.stages.{int(m[1]) - 1}.bn', name)
    name = re.sub(r'_feature_blocks\.(\d)\.Block\.layer', lambda m: f'wide.stages.{int(m[1]) - 1}', name)
    for theirs, ours in _WIDE.items():
        name = re.sub(theirs, ours, name)
    return name


SOURCE = Source(
    patterns=(
        *(
            (theirs + pattern, f'{ours}backbone.{name}')
            for theirs, ours in _NETWORKS.items()
            for pattern, name in (
                (r'_feature_blocks\.0\.Conv\.(\w+)', r'conv1.\1'),
                (r'_feature_blocks\.0\.bn\.(\w+)', r'bn1.\1'),
                (r'_feature_blocks\.([1-4]\.\d+\..+)', r'layer\1'),
                (r'wide\.(.+)', r'\1'),
            )
        ),
        (r'(bow_predictor|bow_extractor|linear_classifier)\..+', None),
    ),
    prepare=_wide_names,
)
