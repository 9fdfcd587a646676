"""How frequent colours are, and the weight that a rare colour gets."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mmssl.distributed.collectives import gather_constant
from mmssl.models.layers.lab import ab_bins
from mmssl.registry import COMPONENTS
from mmssl.utils.errors import UserError


@COMPONENTS.register_module()
class ColorPrior(nn.Module):
    """Distribution of the colours of a training set over bins, and weights that favour rare colours.

    With the prior p over Q bins and ``m = (1 - mix) p + mix / Q``, the weight of a bin is proportional to 1 / m and 1
    on average over p (Zhang et al., 2016, arXiv:1603.08511, Eq. 4).

    The official code reads p, smoothed, from a file made of ImageNet's training set. Here p is counted while training:
    call ``stage`` while the loss is computed and ``commit`` after the step. Every bin begins with a count of 1, so no
    weight is infinite and the first step has equal weights. All processes count the images of all.

    Args:
        mix: Share of the uniform distribution in the mixture, the paper's lambda, in [0, 1].
        file: ``.npy`` file of a prior (Q,), such as the official ``prior_probs.npy``, which is used unchanged instead
            of counting.

    Raises:
        ValueError: ``mix`` is outside its range.
        UserError: The file does not exist, or does not hold Q positive numbers.
    """

    counts: Tensor

    def __init__(self, mix: float = 0.5, file: str | None = None) -> None:
        super().__init__()
        if not 0 <= mix <= 1:
            raise ValueError(f'mix must lie in [0, 1], got {mix}')
        self.mix = mix
        counts = torch.ones(len(ab_bins()), dtype=torch.float64)
        if file is not None:
            counts = read_prior(file)
        self.register_buffer('counts', counts)
        self._of_file = None if file is None else counts.clone()
        self._staged: list[Tensor] = []

    def restart(self) -> None:
        """Forgets what was counted or loaded: every bin has a count of 1 again, or the number in the file."""
        if self._of_file is None:
            self.counts.fill_(1)
        else:
            self.counts.copy_(self._of_file)

    def weights(self) -> Tensor:
        """Returns the weights of the bins, (Q,) float64."""
        prior = self.counts / self.counts.sum()
        inverse = 1 / ((1 - self.mix) * prior + self.mix / len(prior))
        return inverse / (prior * inverse).sum()

    @torch.no_grad()
    def stage(self, indices: Tensor, shares: Tensor) -> None:
        """Counts the colours of this step, of all processes, for the next ``commit``.

        Args:
            indices: (N, K, H, W) int64, bins of each position, see ``soft_bins``.
            shares: (N, K, H, W), weights of these bins, which sum to 1 at each position.
        """
        if self._of_file is None:
            counts = torch.zeros_like(self.counts)
            counts.scatter_add_(0, indices.flatten(), shares.flatten().to(counts.dtype))
            self._staged.append(gather_constant(counts[None]).sum(dim=0))

    @torch.no_grad()
    def commit(self) -> None:
        """Adds the staged counts."""
        for counts in self._staged:
            self.counts.add_(counts)
        self._staged.clear()


def read_prior(file: str) -> Tensor:
    """Reads a prior, (Q,) float64, from a ``.npy`` file.

    Raises:
        UserError: The file does not exist, or does not hold Q positive numbers.
    """
    number = len(ab_bins())
    try:
        prior = torch.as_tensor(np.load(file), dtype=torch.float64)
    except FileNotFoundError as error:
        raise UserError(f'the prior of colours {file} does not exist: set model.prior.file') from error
    except (ValueError, TypeError, RuntimeError, EOFError):  # no array of numbers
        prior = torch.zeros(0)
    if prior.shape != (number,) or not bool(((prior > 0) & prior.isfinite()).all()):
        raise UserError(f'{file} must hold {number} positive numbers, one per bin of colours')
    return prior
