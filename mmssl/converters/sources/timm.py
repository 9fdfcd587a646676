"""timm: residual networks, which have torchvision's names, and plain vision transformers."""

from math import isqrt

import torch

from mmssl.converters.source import BACKBONE, SCALED_VIT, Source, Tensors


def _with_position_of_class_token(tensors: Tensors) -> Tensors:
    """Adds a position of 0 for the class token to a model with registers, whose table has positions of patches only."""
    table = tensors.get('pos_embed')
    if 'reg_token' not in tensors or table is None or isqrt(table.shape[1]) ** 2 != table.shape[1]:
        return tensors
    return {**tensors, 'pos_embed': torch.cat([torch.zeros_like(table[:, :1]), table], dim=1)}


SOURCE = Source(
    prepare=_with_position_of_class_token,
    patterns=((r'(fc|head)\.\w+', None), (f'({BACKBONE}|{SCALED_VIT})', r'backbone.\1')),
)
