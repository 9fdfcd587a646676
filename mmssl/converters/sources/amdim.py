"""Philip-Bachman/amdim-public: the encoder with its projections; the online classifiers are dropped."""

from __future__ import annotations

import re

from torch import Tensor

from mmssl.converters.source import Source, Tensors

_ENCODER = r'encoder\.(?:module\.)?'
# First layer of the last parts of the encoder for images of 32 and 64 pixels, and of 128, which have one layer more.
_PARTS = {'layer_list': 5, 'large_list': 6}


def _name_large(tensors: Tensors) -> dict[str, Tensor]:
    """Renames the layers of an encoder for 128 pixels, which has ten of them instead of nine."""
    if not any(re.match(rf'{_ENCODER}layer_list\.9\.', name) for name in tensors):
        return dict(tensors)
    return {re.sub(rf'^({_ENCODER})layer_list', r'\1large_list', name): x for name, x in tensors.items()}


def _patterns(layers: str, five: int) -> list[tuple[str, str | None]]:
    """Returns the patterns of an encoder whose layer ``five`` makes the map of 5 x 5."""
    layer, unit = rf'{_ENCODER}{layers}', r'(?:layer_list\.)?((?:\d\.)?)(conv\d|bn1)\.(?:bn\.)?(\w+)'
    seven = rf'([0-{five - 1}])'
    return [
        (rf'{layer}\.{seven}\.conv\.(\w+)', r'backbone.to_seven.\1.0.\2'),
        (rf'{layer}\.{seven}\.bn\.(\w+)', r'backbone.to_seven.\1.\2'),
        (rf'{layer}\.{seven}\.{unit}', r'backbone.to_seven.\1.\2\3.\4'),
        (rf'{layer}\.{five}\.{unit}', r'backbone.to_five.\1\2.\3'),
        (rf'{layer}\.{five + 1}\.{unit}', r'backbone.to_one.0.\1\2.\3'),
        (rf'{layer}\.{five + 2}\.{unit}', r'backbone.to_one.1.\1\2.\3'),
        (rf'{layer}\.{five + 3}\.bn\.(\w+)', r'backbone.to_one.2.\1'),
    ]


SOURCE = Source(
    patterns=(
        *(pattern for layers, five in _PARTS.items() for pattern in _patterns(layers, five)),
        *(
            (rf'{_ENCODER}rkhs_block_{side}\.(conv\d|shortcut|bn_\w+)\.(?:bn\.)?(\w+)', rf'neck.{name}.\1.\2')
            for side, name in ((5, 'five'), (7, 'seven'))
        ),
        (r'(evaluator|g2l_loss)\..+', None),
    ),
    prepare=_name_large,
)
