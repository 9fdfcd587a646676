"""Photometric operations on a batch, each image with its own number.

The functions equal torchvision's on float images in [0, 1]: no rounding to eight bits between operations, which
Pillow has. Their first argument is (N, 3, H, W), their second (N,); they return a new tensor.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.datasets.transforms.photometric_program import OPERATIONS

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601, with torchvision's digits
_CHUNK_PIXELS = 2**16  # on a CPU: what stays in a core's second-level cache while all operations run on it


def _per_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _luma(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiplies by ``factor`` >= 0 and clips to [0, 1]."""
    return images.mul(_per_image(factor)).clamp_(0, 1)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Scales the distance from the image's mean luma by ``factor`` >= 0 and clips to [0, 1]."""
    mean = images.mean(dim=(2, 3)) @ images.new_tensor(_LUMA)
    return images.mul(_per_image(factor)).add_(_per_image(mean * (1 - factor))).clamp_(0, 1)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Scales the distance from each pixel's luma by ``factor`` >= 0 and clips to [0, 1]."""
    factor = _per_image(factor)
    return images.mul(factor).add_(_luma(images).mul_(1 - factor)).clamp_(0, 1)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turns the hue of HSV by ``shift`` turns in [-0.5, 0.5].

    With value V, chroma C (the largest minus the smallest channel) and hue h in sixths of a turn, the channels of HSV
    are V - C clip(min(k, 4 - k), 0, 1) with k = (n + h) mod 6 and n = 5, 3, 1: saturation is not needed.
    """
    red, green, blue = images.split(1, dim=1)
    smallest, value = torch.aminmax(images, dim=1, keepdim=True)
    chroma = value - smallest
    scale = 1 / chroma.clamp(min=1e-12)
    hue = torch.where(
        value == red,
        (green - blue).mul_(scale),
        torch.where(value == green, (blue - red).mul_(scale).add_(2), (red - green).mul_(scale).add_(4)),
    ).add_(_per_image(shift * 6))
    k = (hue + images.new_tensor((5, 3, 1)).view(1, 3, 1, 1)).remainder_(6)
    return torch.minimum(k, 4 - k).clamp_(0, 1).mul_(-chroma).add_(value)


def grayscale(images: Tensor, _: Tensor) -> Tensor:
    """Gives all channels the pixel's luma."""
    return _luma(images).expand_as(images)


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blurs with a true Gaussian of ``sigma`` > 0 pixels, cut at 4 sigma, edges reflected.

    Torchvision's with a kernel that long. Pillow's filter of that name is three box blurs instead. One product with a
    banded matrix for each direction: no kernel size to choose, and every image has its own sigma.
    """
    height, width = images.shape[2:]
    rows = _blur_matrix(sigma, height)
    columns = rows if width == height else _blur_matrix(sigma, width)
    return rows.unsqueeze(1) @ images @ columns.mT.unsqueeze(1)


def _blur_matrix(sigma: Tensor, size: int) -> Tensor:
    target = torch.arange(size, device=sigma.device)
    offsets = torch.arange(1 - size, size, device=sigma.device)
    weights = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2) * (offsets.abs() <= (4 * sigma[:, None]).ceil())
    weights = weights / weights.sum(dim=1, keepdim=True)
    source = (target[:, None] + offsets).abs()
    source = torch.where(source >= size, 2 * (size - 1) - source, source)
    matrix = weights.new_zeros(len(sigma), size, size)
    return matrix.scatter_add_(2, source.expand(len(sigma), -1, -1), weights[:, None].expand(-1, size, -1))


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Inverts the samples at or above ``threshold`` in [0, 1]."""
    return torch.where(images >= _per_image(threshold), 1 - images, images)


FUNCTIONS = dict(
    brightness=adjust_brightness,
    contrast=adjust_contrast,
    saturation=adjust_saturation,
    hue=adjust_hue,
    grayscale=grayscale,
    blur=gaussian_blur,
    solarize=solarize,
)


def run_programs(images: Tensor, programs: Tensor) -> Tensor:
    """Runs each image's photometric program.

    The images that have the same operation at the same step are gathered, changed and put back. Which these are is
    decided from ``programs`` on the CPU, so that a GPU is never waited for. On a CPU a few images at a time go through
    their whole programs while they are in the cache.

    Args:
        images: (N, 3, H, W) in [0, 1], overwritten.
        programs: (N, steps, 2) float32, on the CPU; see ``mmssl.datasets.transforms.photometric_program``.

    Returns:
        ``images``.
    """
    num_chunk = max(1, _CHUNK_PIXELS // images[0, 0].numel()) if images.device.type == 'cpu' else len(images)
    for chunk, program in zip(images.split(num_chunk), programs.split(num_chunk)):
        _run_chunk(chunk, program)
    return images


def _run_chunk(images: Tensor, programs: Tensor) -> None:
    codes = programs[..., 0].long()
    order = codes.argsort(dim=0, stable=True)
    steps = zip(codes.unbind(1), _to_device(order, images).unbind(1), _to_device(programs[..., 1], images).unbind(1))
    for step, rows, values in steps:
        counts = torch.bincount(step, minlength=len(OPERATIONS)).tolist()
        for name, selected in list(zip(OPERATIONS, rows.split(counts)))[1:]:
            if len(selected) == len(images):
                images.copy_(FUNCTIONS[name](images, values))
            elif len(selected):
                images.index_copy_(0, selected, FUNCTIONS[name](images[selected], values[selected]))


def _to_device(tensor: Tensor, like: Tensor) -> Tensor:
    if like.device.type == 'cuda':
        tensor = tensor.contiguous().pin_memory()  # a copy from pageable memory would wait for the stream
    return tensor.to(like.device, non_blocking=True)
