"""yukimasano/self-label: one classifier per head; AlexNet has DeepCluster's names without Sobel layers.

The layers of the pre-activation ResNet-50 are numbered too, so ``features.0`` is the first convolution of both.
"""

from __future__ import annotations

import re

import torch

from mmssl.converters.source import Source, Tensors
from mmssl.converters.sources.deepcluster import CONVOLUTIONS

_HEAD = r'top_layer(\d+)\.(weight|bias)'
_NUM_CLUSTERS = 5  # smallest number; the rotation head, in files of models refined with rotations, has four classes


_FEATURES = r'features\.(?:module\.)?'


def _prepare(tensors: Tensors) -> Tensors:
    """Renames a pre-activation ResNet to ``preact.`` and the rest of its names, and joins the classifiers."""
    if any(re.fullmatch(rf'{_FEATURES}2\.0\.conv1\.weight', name) for name in tensors):
        tensors = {re.sub(f'^{_FEATURES}', 'preact.', name): tensor for name, tensor in tensors.items()}
    return _join_heads(tensors)


def _join_heads(tensors: Tensors) -> Tensors:
    """Joins the classifiers in the order of their numbers into one, without a rotation head."""
    heads = sorted((int(match[1]), name) for name in tensors if (match := re.fullmatch(_HEAD, name)))
    heads = [(number, name) for number, name in heads if len(tensors[name]) >= _NUM_CLUSTERS]
    others = {name: tensor for name, tensor in tensors.items() if not re.fullmatch(_HEAD, name)}
    for kind in ('weight', 'bias'):
        parts = [tensors[name] for _, name in heads if name.endswith(kind)]
        if parts:
            others[f'top_layer.{kind}'] = torch.cat(parts)
    return others


SOURCE = Source(
    prepare=_prepare,
    patterns=(
        *(
            (rf'features\.(?:module\.)?{index + offset}\.(\w+)', rf'backbone.stages.{stage}.0.{layer}.\1')
            for index, stage in CONVOLUTIONS.items()
            for offset, layer in enumerate(('conv', 'bn'))
        ),
        (r'preact\.0\.weight', 'backbone.stem.conv.weight'),
        *(
            (rf'preact\.{index}\.(\d+)\.{theirs}\.(\w+)', rf'backbone.stages.{index - 2}.\1.{ours}.\{group}')
            for index in range(2, 6)
            for theirs, ours, group in ((r'(conv\d|bn\d)', r'\2', 3), (r'shortcut\.0', 'shortcut', 2))
        ),
        (r'classifier\.1\.(\w+)', r'backbone.fc.fc6.\1'),
        (r'classifier\.4\.(\w+)', r'backbone.fc.fc7.\1'),
        (r'top_layer\.(\w+)', r'head.fc.\1'),
        (_HEAD, None),  # already joined by prepare
    ),
)
