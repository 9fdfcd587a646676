"""Transformer block whose residual branches skip some images of the batch in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.layers import GluMlp
from timm.models.vision_transformer import Block
from torch import Tensor, nn


class BatchSubsetBlock(Block):
    """Stochastic depth by batch subsets, which saves the computation of what is dropped (DINOv2, arXiv:2304.07193).

    With rate p, each of the two branches runs on ``max(int(N (1 - p)), 1)`` of N images at random, and its output is
    scaled by N over this number. The rate is the ``drop_prob`` of timm's ``drop_path1`` and ``drop_path2``, so what
    turns off stochastic depth in timm's block turns it off here. The constructor takes the arguments of timm's
    ``Block``; ``drop_path`` is the rate p, in [0, 1). Deviation: the official code drops paths image by image at rates
    of at most 0.1 outside multi-crop training.
    """

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        """Returns tokens (N, L, D) for tokens (N, L, D); further arguments go to the attention."""
        x = add_branch(x, lambda x: self.ls1(self.attn(self.norm1(x), *args, **options)), self._rate(self.drop_path1))
        return add_branch(x, lambda x: self.ls2(self.mlp(self.norm2(x))), self._rate(self.drop_path2))

    def _rate(self, drop_path: nn.Module) -> float:
        return getattr(drop_path, 'drop_prob', 0.0) if self.training else 0.0


def add_branch(x: Tensor, branch: Callable[..., Tensor], rate: float, *given: Tensor) -> Tensor:
    """Adds a residual branch that runs on a random subset of the batch, see ``BatchSubsetBlock``.

    Args:
        x: (N, L, D), tokens.
        branch: Function of tokens, and of the tensors ``given``, that returns tokens.
        rate: Probability that the branch of an image is dropped, in [0, 1).
        *given: (N, ...), further inputs of the branch.

    Returns:
        (N, L, D).
    """
    if not rate:
        return x + branch(x, *given)
    kept = max(int(len(x) * (1 - rate)), 1)
    chosen = torch.randperm(len(x), device=x.device)[:kept]
    added = branch(x[chosen], *(tensor[chosen] for tensor in given))
    return x.index_add(0, chosen, added.to(x.dtype), alpha=len(x) / kept)


def gated_mlp(in_features: int, hidden_features: int, **options: Any) -> GluMlp:
    """Builds SwiGLU (Shazeer, 2020, arXiv:2002.05202) with about as many weights as an MLP: ``fc2(silu(a) * b)``.

    ``fc1`` computes a and b together, each ``gated_width(hidden_features)`` wide.

    Args:
        in_features: Width D of the tokens.
        hidden_features: Width of the hidden layer of the MLP that this replaces.
        **options: Other arguments of timm's ``GluMlp``.
    """
    return GluMlp(in_features, 2 * gated_width(hidden_features), gate_last=False, **options)


def gated_width(hidden_features: int) -> int:
    """Returns two thirds of ``hidden_features``, rounded up to a multiple of 8: 4096 for 6144."""
    return (int(hidden_features * 2 / 3) + 7) // 8 * 8
