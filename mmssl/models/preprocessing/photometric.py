"""Photometric operations on a batch, with one parameter per image.

The functions equal torchvision's functions on float images in [0, 1], or TensorFlow's if their docstring says so.
Unlike Pillow's they do not round to eight bits after each operation. They take images (N, 3, H, W) and one parameter
per image (N,), and return a new tensor.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mmssl.datasets.transforms.photometric_program import OPERATIONS

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601, rounded as in torchvision


def _per_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _luma(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiplies images by ``factor`` >= 0 and clips them to [0, 1]."""
    return images.mul(_per_image(factor)).clamp_(0, 1)


def add_brightness(images: Tensor, offset: Tensor) -> Tensor:
    """Adds ``offset`` in [-1, 1] and clips to [0, 1], as ``tf.image.adjust_brightness`` does."""
    return images.add(_per_image(offset)).clamp_(0, 1)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Scales the distance from the image's mean luma by ``factor`` >= 0 and clips to [0, 1]."""
    factor = _per_image(factor)
    mean = _luma(images.mean(dim=(2, 3), keepdim=True))
    return images.mul(factor).add_(mean.mul_(1 - factor)).clamp_(0, 1)


def adjust_channel_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Scales the distance of each channel from its mean by ``factor`` >= 0, as TensorFlow does, and clips to [0, 1]."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    return torch.lerp(mean, images, _per_image(factor)).clamp_(0, 1)


def adjust_hsv_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Multiplies the HSV saturation by ``factor`` >= 0 and clips it to 1, as ``tf.image.adjust_saturation`` does.

    With value V and saturation S a channel is x = V - S V k, where k depends on the hue, so the new channel is V - (V -
    x) min(factor, 1 / S).
    """
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    ratio = torch.minimum(_per_image(factor), value / chroma.clamp(min=1e-12))
    return torch.addcmul(value, images - value, ratio)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Scales the distance from each pixel's luma by ``factor`` >= 0 and clips to [0, 1]."""
    factor = _per_image(factor)
    return images.mul(factor).add_(_luma(images).mul_(1 - factor)).clamp_(0, 1)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Shifts the HSV hue by ``shift`` turns of the colour circle, in [-0.5, 0.5].

    With value V (the largest channel), chroma C (the largest minus the smallest) and hue h in sixths of a turn, red,
    green and blue are V - C clip(2 - d, 0, 1), where d is the distance of h from 3, 5 and 1 on the circle of length 6.
    Masks are multiplied instead of used for indexing, because indexing is slow.
    """
    red, green, blue = images.unbind(1)  # (N, H, W) each
    smallest, value = torch.minimum(red, green).minimum(blue), torch.maximum(red, green).maximum(blue)
    chroma = value - smallest
    divisor = chroma.clamp(min=1e-12)
    red, green, blue = ((channel - smallest).div_(divisor) for channel in (red, green, blue))  # the largest is 1
    hue = red - green + 4
    hue += (blue - red + 2).sub_(hue).mul_(green.floor())
    hue += (green - blue).sub_(hue).mul_(red.floor())
    hue += shift.view(-1, 1, 1) * 6
    distance = torch.stack((hue - 3, hue - 5, hue - 1), dim=1)
    distance = distance.sub_((distance / 6).round_(), alpha=6).abs_()
    return distance.neg_().add_(2).clamp_(0, 1).mul_(chroma.neg_().unsqueeze(1)).add_(value.unsqueeze(1))


def grayscale(images: Tensor, _: Tensor) -> Tensor:
    """Sets all channels to the pixel's luma; the second argument is not used."""
    return _luma(images).repeat(1, 3, 1, 1)


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blurs with a Gaussian of ``sigma`` > 0 pixels, truncated at 4 sigma, with reflected edges.

    It equals torchvision's ``gaussian_blur`` with a kernel of that length; Pillow's ``GaussianBlur`` is three box blurs
    instead. Each direction is one product with a banded matrix, so every image can have its own sigma.
    """
    height, width = images.shape[2:]
    rows = _blur_matrix(sigma, height)
    columns = rows if width == height else _blur_matrix(sigma, width)
    return rows.unsqueeze(1) @ images @ columns.mT.unsqueeze(1)


def _blur_matrix(sigma: Tensor, size: int) -> Tensor:
    """Returns the matrices (N, size, size) that blur a line of ``size`` pixels, one for each sigma.

    Pixel j contributes to pixel i with weight g(|i - j|), and by reflection with g(i + j) and g(2 (size - 1) - i - j).
    """
    offsets = torch.arange(2 * size - 1, device=sigma.device)
    weights = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2) * (offsets <= torch.ceil(4 * sigma[:, None]))
    weights /= 2 * weights.sum(dim=1, keepdim=True) - 1  # (N, 2 size - 1); the weight at offset 0 is 1
    both_sides = torch.cat((weights[:, 1:size].flip(1), weights[:, :size]), dim=1)
    matrix = both_sides.unfold(1, size, 1).flip(1)
    matrix[:, :, 1:] += weights.unfold(1, size, 1)[:, :, 1:]
    matrix[:, :, :-1] += weights.flip(1).unfold(1, size, 1)[:, :, :-1]
    return matrix


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Inverts the values at or above ``threshold``, in [0, 1]."""
    is_bright = (images >= _per_image(threshold)).to(images.dtype)
    return images.mul(-2).add_(1).mul_(is_bright).add_(images)


FUNCTIONS = dict(
    brightness=adjust_brightness,
    contrast=adjust_contrast,
    saturation=adjust_saturation,
    hue=adjust_hue,
    grayscale=grayscale,
    blur=gaussian_blur,
    solarize=solarize,
    brightness_offset=add_brightness,
    channel_contrast=adjust_channel_contrast,
    hsv_saturation=adjust_hsv_saturation,
)


def run_programs(images: Tensor, programs: Tensor) -> Tensor:
    """Runs each image's photometric program.

    At each step the images with the same operation are gathered, changed and written back. ``programs`` are read on the
    CPU, so a GPU is not synchronised.

    Args:
        images: (N, 3, H, W) in [0, 1]; may be overwritten.
        programs: (N, steps, 2) float32 on the CPU: code and parameter of each operation, see
            ``mmssl.datasets.transforms.photometric_program``.

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    groups = list(_groups(programs))
    rows_of_groups = _to_device_of(
        images, torch.tensor([row for *_, rows in groups for row in rows], dtype=torch.int64)
    )
    values = _to_device_of(images, programs[..., 1])
    for (step, name, _), rows in zip(groups, rows_of_groups.split([len(rows) for *_, rows in groups])):
        if len(rows) == len(images):
            images = FUNCTIONS[name](images, values[:, step])
        else:
            images.index_copy_(0, rows, FUNCTIONS[name](images[rows], values[rows, step]))
    return images


def _groups(programs: Tensor) -> Iterator[tuple[int, str, list[int]]]:
    """Yields step, name of an operation, and indices of the images with this operation at this step."""
    for step, codes in enumerate(programs[..., 0].int().T.tolist()):
        for code in sorted(set(codes) - {0}):
            yield step, OPERATIONS[code], [row for row, other in enumerate(codes) if other == code]


def _to_device_of(images: Tensor, tensor: Tensor) -> Tensor:
    if images.device.type == 'cuda':
        tensor = tensor.contiguous().pin_memory()  # a copy from pageable memory would synchronise
    return tensor.to(images.device, non_blocking=True)
