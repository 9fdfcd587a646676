"""Conversion of images to the input size of a network that was trained with another size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmssl.registry import COMPONENTS

WAYS = ('resize', 'resize_tf', 'crop', 'pad')


@COMPONENTS.register_module()
class FitImages(nn.Module):
    """Linear, differentiable map of images to the input size of a network (IGAM, arXiv:1912.05699, section 3.3).

    ``'resize'`` is ``torch.nn.functional.interpolate`` with ``mode='bilinear'`` and ``align_corners=False``.
    ``'resize_tf'`` is the bilinear resize of TensorFlow 1, in which pixel i of the result lies at ``i * old / new`` of
    the image; use it for networks that were trained with it. ``'crop'`` takes the central square and ``'pad'`` adds
    zeros around the image.

    Args:
        size: Side of the resulting images, in pixels.
        way: Method: ``'resize'``, ``'resize_tf'``, ``'crop'`` or ``'pad'``.
        grey: Whether all three channels are set to their mean, for a network that was trained with grey images.

    Raises:
        ValueError: ``way`` is unknown, or ``size`` is not positive.
    """

    def __init__(self, size: int, way: str = 'resize', grey: bool = False) -> None:
        super().__init__()
        if way not in WAYS or size < 1:
            raise ValueError(f'way must be one of {WAYS} and size positive, got {way!r} and {size}')
        self.size = size
        self.way = way
        self.grey = grey

    def forward(self, images: Tensor) -> Tensor:
        """Returns images (N, 3, size, size) for images (N, 3, H, W).

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
    """Returns the matrix (new, old) of TensorFlow 1's bilinear resize along one side, with repeated edges."""
    dtype = torch.promote_types(images.dtype, torch.float32)  # bfloat16 has no whole numbers between 256 and 258
    positions = torch.arange(new, device=images.device, dtype=dtype) * (old / new)
    low = positions.floor().clamp(max=old - 1)
    high = (low + 1).clamp(max=old - 1)
    share = (positions - low)[:, None]
    one_hot = [F.one_hot(index.long(), old).to(dtype) for index in (low, high)]
    return (one_hot[0] * (1 - share) + one_hot[1] * share).to(images.dtype)
