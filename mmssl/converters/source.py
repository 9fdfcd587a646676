"""What the converters know of one official code: how its tensors are called and how they become ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]

# Backbones keep the names of torchvision (``ResNet``) and timm (``VisionTransformer``; those of timm 0.4.9, which
# MoCo v3 was written with, are the same).
RESNET = r'(conv1|bn1|layer[1-4]\.\d+\.(conv\d|bn\d|downsample\.[01]))\.\w+'
ADDER_RESNET = r'((conv1|bn1)\.\w+|layer[1-4]\.\d+\.((conv\d|downsample\.0)\.adder|(bn\d|downsample\.1)\.\w+))'
VIT = (
    r'(cls_token|pos_embed|patch_embed\.proj\.(\d+\.)?\w+|norm\.\w+'
    r'|blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.\w+)'
)
BACKBONE = f'({RESNET}|{VIT})'
# timm's names, which ``TimmBackbone`` keeps behind ``model.``.
SWIN = (
    r'(patch_embed\.(proj|norm)\.\w+|norm\.\w+|layers\.\d\.(downsample\.(norm|reduction)\.\w+'
    r'|blocks\.\d+\.(norm[12]\.\w+|attn\.(relative_position_bias_table|(qkv|proj)\.\w+)|mlp\.fc[12]\.\w+)))'
)
# HiViT and iTPN's pyramid keep the names of their official codes.
HIVIT = (
    r'(absolute_pos_embed|patch_embed\.(proj|norm)\.\w+'
    r'|blocks\.\d+\.(gamma_[12]|(norm[12]?|reduction|mlp\.fc[12])\.\w+'
    r'|attn\.(relative_position_bias_table|rel_pos_[hw]|(qkv|proj)\.\w+)))'
)
ITPN_PYRAMID = r'((align_dim_16tofpn|(align_dim|split|block)_(16to8|8to4)|fpn_modules)\..+)'


@dataclass(frozen=True)
class Source:
    """Where tensors of an official code go in an algorithm of mmssl.

    An algorithm holds ``backbone.*``, ``neck.*``, ``head.*``, and with a teacher ``teacher.backbone.*`` and
    ``teacher.neck.*``. Official projectors and predictors are mostly ``nn.Sequential``s in the order of ours, so that
    their indices carry over.

    Args:
        patterns: (regular expression of the whole official name without ``module.``, name in an algorithm), of which
            the first that matches counts; groups are available as in ``re.Match.expand``. None for what has no place in
            an algorithm, such as a supervised classifier.
        aliases: Further names of the source.
        reshape: Name in an algorithm -> function of the official tensor that gives ours.
        prepare: Official tensors, their names without ``module.``, -> tensors to which the patterns apply: for
            sources in which one tensor becomes several, several become one, or names depend on others. What it does not
            know it passes on, so that a checkpoint of another code can be told by its names.
        num_heads: Width of a transformer -> its attention heads, where transformers of this width differ elsewhere.
    """

    patterns: tuple[tuple[str, str | None], ...]
    aliases: tuple[str, ...] = ()
    reshape: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    prepare: Callable[[Tensors], Tensors] | None = None
    num_heads: Mapping[int, int] = field(default_factory=dict)


def torch_layout(tensor: Tensor) -> Tensor:
    """A tensor of TensorFlow or JAX as torch keeps it.

    Args:
        tensor: Kernel (height, width, in, out) or (in, out), or statistics (C,) or (1, 1, 1, C) of a norm.
    """
    if tensor.ndim == 4 and tensor.shape[:3] != (1, 1, 1):
        return tensor.permute(3, 2, 0, 1).contiguous()
    return tensor.T.contiguous() if tensor.ndim == 2 and len(tensor) > 1 else tensor.flatten()


def with_counters(tensors: Tensors) -> Tensors:
    """Adds the counters of batches that torch's norms have and others do not."""
    means = [name for name in tensors if name.endswith('.running_mean')]
    counters = [name.replace('running_mean', 'num_batches_tracked') for name in means]
    return {**dict.fromkeys(counters, torch.zeros((), dtype=torch.int64)), **tensors}
