"""Normalisation of each image by itself."""

from __future__ import annotations

from torch import Tensor, nn

from mmssl.registry import COMPONENTS

SCALES = ('l2', 'std')


@COMPONENTS.register_module()
class PerImageNorm(nn.Module):
    """Subtracts the mean of an image over all its values, and divides by their length or standard deviation.

    With ``scale='l2'`` an image has length 1: ``c * rsqrt(max(sum(c^2), 1e-12))`` with c the image without its mean.
    With ``scale='std'`` it is TensorFlow's ``per_image_standardization``: ``c / max(std, 1 / sqrt(n))``, n values, the
    biased standard deviation. Either removes brightness and contrast, so gradients with respect to the image are
    orthogonal to both.

    Args:
        scale: ``'l2'`` or ``'std'``.
        centre: Whether the mean is subtracted; ``'std'`` always does.

    Raises:
        ValueError: ``scale`` is neither, or the mean is to be kept with ``'std'``.
    """

    def __init__(self, scale: str = 'l2', centre: bool = True) -> None:
        super().__init__()
        if scale not in SCALES or (scale == 'std' and not centre):
            raise ValueError(f"scale must be one of {SCALES}, 'std' with centre=True, got {scale!r} and {centre}")
        self.scale = scale
        self.centre = centre

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, 3, H, W) of images (N, 3, H, W)."""
        x = images.flatten(1)
        if self.centre:
            x = x - x.mean(dim=1, keepdim=True)
        squares = x.square().sum(dim=1, keepdim=True)
        if self.scale == 'l2':
            x = x * squares.clamp(min=1e-12).rsqrt()
        else:  # max(std, 1 / sqrt(n)) = sqrt(max(sum / n, 1 / n))
            x = x * (squares.clamp(min=1) / x.shape[1]).rsqrt()
        return x.view_as(images)
