"""Normalisation of each image by its own statistics."""

from __future__ import annotations

from torch import Tensor, nn

from mmssl.registry import COMPONENTS

SCALES = ('l2', 'std')


@COMPONENTS.register_module()
class PerImageNorm(nn.Module):
    """Subtracts the mean of an image, and divides it by its length or by its standard deviation.

    c is the image minus its mean over all n values. ``scale='l2'`` gives length 1: ``c * rsqrt(max(sum(c^2), 1e-12))``.
    ``scale='std'`` is TensorFlow's ``per_image_standardization``: ``c / max(std, 1 / sqrt(n))`` with the biased
    standard deviation. Both remove brightness and contrast, so gradients with respect to the image are orthogonal to
    both. The gradient with respect to an image of low contrast is large: for an image of one colour it is multiplied by
    1e6 (``'l2'``) or sqrt(n) (``'std'``). Add noise to such images before gradients are compared.

    Args:
        scale: Divisor of an image: ``'l2'`` (length) or ``'std'`` (standard deviation).
        centre: Whether the mean is subtracted; it must be True with ``'std'``.

    Raises:
        ValueError: ``scale`` is unknown, or ``centre`` is False with ``'std'``.
    """

    def __init__(self, scale: str = 'l2', centre: bool = True) -> None:
        super().__init__()
        if scale not in SCALES or (scale == 'std' and not centre):
            raise ValueError(f"scale must be one of {SCALES}, 'std' with centre=True, got {scale!r} and {centre}")
        self.scale = scale
        self.centre = centre

    def forward(self, images: Tensor) -> Tensor:
        """Returns normalised images of the shape of ``images``, (N, 3, H, W)."""
        x = images.flatten(1)
        if self.centre:
            x = x - x.mean(dim=1, keepdim=True)
        squares = x.square().sum(dim=1, keepdim=True)
        if self.scale == 'l2':
            x = x * squares.clamp(min=1e-12).rsqrt()
        else:  # max(std, 1 / sqrt(n)) = sqrt(max(sum / n, 1 / n))
            x = x * (squares.clamp(min=1) / x.shape[1]).rsqrt()
        return x.view_as(images)
