"""Absolute error on the pixels of hidden patches."""

from __future__ import annotations

import math

from torch import Tensor, nn

from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES
from mmssl.utils.dist import sum_over_processes, world_size


def mask_pixels(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Says of every pixel whether its patch is hidden.

    Args:
        mask: (N, L), square patches in row-major order.
        size: Height and width of the images in pixels.

    Returns:
        (N, 1, H, W) of the type of ``mask``.

    Raises:
        ValueError: L square patches do not make up an image of this size.
    """
    height, width = size
    side = math.isqrt(height * width // mask.shape[1])
    if not side or height % side or width % side or height // side * (width // side) != mask.shape[1]:
        raise ValueError(f'an image of {height}x{width} is not made of {mask.shape[1]} square patches')
    cells = mask.unflatten(1, (height // side, width // side))
    return cells.repeat_interleave(side, dim=1).repeat_interleave(side, dim=2).unsqueeze(1)


@in_full_precision
def masked_image_l1(predictions: Tensor, images: Tensor, mask: Tensor, eps: float = 1e-5) -> Tensor:
    """Mean absolute error per hidden pixel and channel (Xie et al., 2022, arXiv:2111.09886, section 3.4).

    ``sum_i m_i |y_i - x_i|_1 / (sum_i m_i + eps) / C`` over the pixels i of the images of all processes.

    Args:
        predictions: (N, C, H, W).
        images: (N, C, H, W), normalised.
        mask: (N, L) bool, True = hidden, square patches in row-major order.
        eps: Added to the number of pixels.

    Returns:
        Scalar >= 0, of which the mean over the processes is the loss of the global batch; 0 where nothing is hidden.
    """
    hidden = mask_pixels(mask, (images.shape[2], images.shape[3])).to(predictions.dtype)
    error = ((predictions - images).abs() * hidden).sum()
    count = (sum_over_processes(hidden.sum()) + eps) / world_size()
    return error / count / images.shape[1]


@LOSSES.register_module()
class MaskedImageL1Loss(nn.Module):
    """The loss of SimMIM, see ``masked_image_l1``."""

    def forward(self, predictions: Tensor, images: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, a scalar, of predictions and images (N, C, H, W) and a mask (N, L) bool."""
        return masked_image_l1(predictions, images, mask)
