"""Images of one size for a network that was trained with another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmssl.registry import COMPONENTS

WAYS = ('resize', 'resize_tf', 'crop', 'pad')


@COMPONENTS.register_module()
class FitImages(nn.Module):
    """A linear map of images to the input size of a network; gradients go back through it (IGAM, section 3.3).

    ``'resize'`` is bilinear with pixel centres at half positions, as everywhere in torch. ``'resize_tf'`` is the
    bilinear resize of TensorFlow 1, whose pixel i of the result lies at ``i * old / new`` of the image: networks that
    were trained with it see another image otherwise. ``'crop'`` takes the central square and ``'pad'`` adds zeros
    around the image.

    Args:
        size: Side of the result, in pixels.
        way: ``'resize'``, ``'resize_tf'``, ``'crop'`` or ``'pad'``.
        grey: Whether all three channels become their mean, for a network that was trained with grey images.

    Raises:
        ValueError: ``way`` is none of these, or the size is not positive.
    """

    def __init__(self, size: int, way: str = 'resize', grey: bool = False) -> None:
        super().__init__()
        if way not in WAYS or size < 1:
            raise ValueError(f'way must be one of {WAYS} and size positive, got {way!r} and {size}')
        self.size = size
        self.way = way
        self.grey = grey

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, 3, size, size) of images (N, 3, H, W).

        Raises:
            ValueError: An image is too small to be cropped, or too large to be padded.
        """
        if self.grey:
            images = images.mean(dim=1, keepdim=True).expand_as(images)
        height, width = images.shape[-2:]
        if self.way == 'resize':
            return F.interpolate(images, size=(self.size, self.size), mode='bilinear', align_corners=False)
        if self.way == 'resize_tf':
            rows, columns = (_resize_matrix(side, self.size, images) for side in (height, width))
            return rows @ images @ columns.mT
        if (min(height, width) < self.size) if self.way == 'crop' else (max(height, width) > self.size):
            change = 'cropped' if self.way == 'crop' else 'padded'
            raise ValueError(f"images of {height} x {width} pixels cannot be {change} to {self.size}: use way='resize'")
        top, left = (self.size - height) // 2, (self.size - width) // 2  # negative: cropped
        return F.pad(images, (left, self.size - width - left, top, self.size - height - top))


def _resize_matrix(old: int, new: int, images: Tensor) -> Tensor:
    """The resize of TensorFlow 1 along one side, (new, old): neighbours weighted by their distance, edges repeated."""
    positions = torch.arange(new, device=images.device, dtype=images.dtype) * (old / new)
    low = positions.floor().clamp(max=old - 1)
    high = (low + 1).clamp(max=old - 1)
    share = (positions - low)[:, None]
    one_hot = [F.one_hot(index.long(), old).to(images.dtype) for index in (low, high)]
    return one_hot[0] * (1 - share) + one_hot[1] * share
