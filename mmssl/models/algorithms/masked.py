"""The base class of algorithms that hide patches of an image and predict them."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from timm.layers import trunc_normal_
from torch import nn

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import MASKERS, TARGETS


class MaskedAlgorithm(BaseAlgorithm):
    """An algorithm with a masker, a target, and optionally a learned token that replaces hidden patches.

    A method that can predict every patch also defines ``reconstruct(images)``, which returns the mask (N, L) and the
    prediction (N, L, P) of the target; figures of reconstructions need it.

    Args:
        masker: Config of the masker, with the ``patch_size`` of the backbone.
        target: Config of the target, which is predicted for each patch.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    views = Views(1)

    mask_token_cut: ClassVar[float | None] = None
    """Absolute value at which the normal distribution N(0, 0.02) of the initial mask token is truncated; None for a
    method without a mask token."""

    def __init__(self, *, masker: dict, target: dict, **slots: Any) -> None:
        super().__init__(**slots)
        self.masker = MASKERS.build(masker)
        self.target = TARGETS.build(target)
        if self.mask_token_cut is not None:
            token = torch.empty(1, 1, self.backbone.embed_dim)
            cut = self.mask_token_cut
            self.mask_token = nn.Parameter(trunc_normal_(token, std=0.02, a=-cut, b=cut))
