"""CutMix of images whose targets are distributions."""

from __future__ import annotations

import numpy as np
from timm.data.mixup import cutmix_bbox_and_lam
from torch import Tensor, nn

from mmssl.registry import COMPONENTS


@COMPONENTS.register_module()
class BagMix(nn.Module):
    """CutMix (arXiv:1905.04899) of a batch with the same batch in reverse order, for targets that are distributions.

    A rectangle of image j replaces the same rectangle of image i. The target becomes ``w y_i + (1 - w) y_j``, where w
    is the share of the area of image i that remains. One w per batch is drawn from Beta(alpha, alpha) by NumPy's
    generator, and corrected if the border of the image cuts the rectangle.

    Args:
        alpha: Parameter of the Beta distribution, > 0.
        prob: Probability that a batch is mixed.

    Raises:
        ValueError: ``alpha`` is not positive, or ``prob`` lies outside [0, 1].
    """

    def __init__(self, alpha: float = 1.0, prob: float = 0.5) -> None:
        super().__init__()
        if alpha <= 0 or not 0 <= prob <= 1:
            raise ValueError(f'alpha must be positive and prob lie in [0, 1], got {alpha} and {prob}')
        self.alpha, self.prob = alpha, prob

    def forward(self, images: Tensor, bags: Tensor) -> tuple[Tensor, Tensor]:
        """Returns images (N, 3, H, W) and bags (N, K), both mixed with probability ``prob``; inputs are not changed."""
        if np.random.rand() >= self.prob:  # noqa: NPY002  # seeded at each iteration of a run
            return images, bags
        weight = np.random.beta(self.alpha, self.alpha)  # noqa: NPY002
        (top, bottom, left, right), weight = cutmix_bbox_and_lam(images.shape, weight)
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = images.flip(0)[..., top:bottom, left:right]
        return mixed, weight * bags + (1 - weight) * bags.flip(0)
