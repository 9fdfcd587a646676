"""Description of an official code: the names of its tensors and their conversion to mmssl."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]

# Backbones have the names of torchvision (``ResNet``) and timm (``VisionTransformer``); the names in timm 0.4.9, which
# MoCo v3 uses, are the same.
RESNET = r'(conv1|bn1|layer[1-4]\.\d+\.(conv\d|bn\d|downsample\.[01]))\.\w+'
ADDER_RESNET = r'((conv1|bn1)\.\w+|layer[1-4]\.\d+\.((conv\d|downsample\.0)\.adder|(bn\d|downsample\.1)\.\w+))'
VIT = (
    r'(cls_token|pos_embed|patch_embed\.proj\.(\d+\.)?\w+|norm\.\w+'
    r'|blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.\w+)'
)
SCALED_VIT = rf'({VIT}|reg_token|blocks\.\d+\.ls[12]\.gamma)'  # with registers and LayerScale
BACKBONE = f'({RESNET}|{VIT})'
# timm's names, which follow ``model.`` in ``TimmBackbone``.
SWIN = (
    r'(patch_embed\.(proj|norm)\.\w+|norm\.\w+|layers\.\d\.(downsample\.(norm|reduction)\.\w+'
    r'|blocks\.\d+\.(norm[12]\.\w+|attn\.(relative_position_bias_table|(qkv|proj)\.\w+)|mlp\.fc[12]\.\w+)))'
)
# HiViT and iTPN's pyramid have the names of their official codes.
HIVIT = (
    r'(absolute_pos_embed|patch_embed\.(proj|norm)\.\w+'
    r'|blocks\.\d+\.(gamma_[12]|(norm[12]?|reduction|mlp\.fc[12])\.\w+'
    r'|attn\.(relative_position_bias_table|rel_pos_[hw]|(qkv|proj)\.\w+)))'
)
ITPN_PYRAMID = r'((align_dim_16tofpn|(align_dim|split|block)_(16to8|8to4)|fpn_modules)\..+)'


@dataclass(frozen=True)
class Source:
    """The conversion of tensors of an official code to an algorithm of mmssl.

    The names in an algorithm begin with ``backbone.``, ``neck.``, ``head.``, and with a teacher also
    ``teacher.backbone.`` and ``teacher.neck.``. Most official projectors and predictors are an ``nn.Sequential`` with
    the same order as in mmssl, so their indices are kept.

    Args:
        patterns: Pairs (regular expression for the whole official name without ``module.``, name in an algorithm). The
            first pair that matches is used; groups are available as in ``re.Match.expand``. The name is None for a
            tensor that the algorithm does not have, such as a supervised classifier.
        aliases: Other names of the source.
        reshape: Name in an algorithm -> function: official tensor -> tensor of mmssl.
        prepare: Function: official tensors, names without ``module.`` -> tensors to which the patterns apply; for
            sources in which one tensor becomes several, several become one, or names depend on other names. It must
            return unknown tensors unchanged, so that the names of another code are recognised.
        arguments: Function: tensors of a backbone by our names -> arguments of the backbone that do not follow from
            them, such as its interpolation of positions.
        num_heads: Width of a transformer -> number of attention heads, if other codes use another number at this width.
        own_name: Regular expression for a whole name that no other code has, if all names of a file can begin with
            ``backbone.``, as those of mmssl do.
    """

    patterns: tuple[tuple[str, str | None], ...]
    aliases: tuple[str, ...] = ()
    reshape: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    prepare: Callable[[Tensors], Tensors] | None = None
    arguments: Callable[[Tensors], dict] | None = None
    num_heads: Mapping[int, int] = field(default_factory=dict)
    own_name: str | None = None

    @cached_property
    def compiled_patterns(self) -> tuple[tuple[re.Pattern[str], str | None], ...]:
        """``patterns``, compiled once: all sources together have more than Python's own cache keeps."""
        return tuple((re.compile(pattern), ours) for pattern, ours in self.patterns)


def torch_layout(tensor: Tensor) -> Tensor:
    """Converts a tensor of TensorFlow or JAX to torch's layout.

    Args:
        tensor: Kernel (height, width, in, out) or (in, out), or parameter of a norm (C,) or (1, 1, 1, C).
    """
    if tensor.ndim == 4 and tensor.shape[:3] != (1, 1, 1):
        return tensor.permute(3, 2, 0, 1).contiguous()
    return tensor.T.contiguous() if tensor.ndim == 2 and len(tensor) > 1 else tensor.flatten()


def with_counters(tensors: Tensors) -> Tensors:
    """Adds ``num_batches_tracked``, which only torch's norms have."""
    means = [name for name in tensors if name.endswith('.running_mean')]
    counters = [name.replace('running_mean', 'num_batches_tracked') for name in means]
    return {**dict.fromkeys(counters, torch.zeros((), dtype=torch.int64)), **tensors}
