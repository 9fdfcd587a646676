"""Photometric operations on a batch, with one parameter per image.

The functions equal torchvision's functions on float images in [0, 1], or TensorFlow's if their docstring says so.
Unlike Pillow's they do not round to eight bits after each operation. They take images (N, 3, H, W) and one parameter
per image (N,), and return a new tensor.

Most operations on colours are one affine map per image: each pixel x, a vector of red, green and blue, becomes
``clip(A x + B m + c, 0, 1)``, where m is the mean of the image's pixels. So images with different operations of this
kind are changed by the same product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from mmssl.datasets.transforms.photometric_program import CODES
from mmssl.models.preprocessing.photometric_plan import Step, affine_maps, plan_steps, selective_parameters


@contextmanager
def exact_products() -> Iterator[None]:
    """Computes matrix products in float32, because TF32 and bfloat16 are too coarse for colours."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _affine(pixels: Tensor, maps: Sequence[Tensor], step: Step) -> Tensor:
    """Returns ``clip(A x + B m + c, 0, 1)`` for pixels x (N, 3, P) with mean m; see ``affine_maps``."""
    matrix, matrix_of_mean, offset = maps
    if step.uses_mean:
        offset = torch.baddbmm(offset, matrix_of_mean, pixels.mean(dim=2, keepdim=True))  # (N, 3, 1)
    if step.is_diagonal and len(pixels) == 1:  # usual on a CPU, where a large image is a batch
        changed = pixels * matrix[:, :1, :1]
        changed = changed.add_(offset) if step.uses_offset else changed
    elif step.uses_offset:
        changed = torch.baddbmm(offset, matrix, pixels)
    else:
        changed = torch.bmm(matrix, pixels)
    return changed.clamp_(0, 1)


def _hsv_saturation(pixels: Tensor, factor: Tensor) -> Tensor:
    """Multiplies the HSV saturation by ``factor`` >= 0 and clips it to 1, as ``tf.image.adjust_saturation`` does.

    With value V and saturation S a channel is x = V - S V k, where k depends on the hue, so the new channel is V - (V -
    x) min(factor, 1 / S).
    """
    value = pixels.amax(dim=1, keepdim=True)
    chroma = value - pixels.amin(dim=1, keepdim=True)
    ratio = torch.minimum(factor, value / chroma.clamp_(min=1e-12))
    return torch.addcmul(value, pixels - value, ratio)


def _hue(pixels: Tensor, offset: Tensor) -> Tensor:
    """Shifts the HSV hue; ``offset`` (N, 3, 1) is the shift in sixths of a turn less 3, 5 and 1.

    With value V (the largest channel), chroma C (the largest minus the smallest) and hue h in sixths of a turn, red,
    green and blue are V - C clip(2 - d, 0, 1), where d is the distance of h from 3, 5 and 1 on the circle of length 6.
    ``lerp`` with a weight of 0 or 1 selects, because indexing is slow.
    """
    red, green, blue = pixels.split(1, dim=1)  # (N, 1, P) each; amax over so short a dimension is slow
    smallest, value = torch.minimum(red, green).minimum(blue), torch.maximum(red, green).maximum(blue)
    chroma = value - smallest
    red, green, blue = (pixels - smallest).div_(chroma.clamp(min=1e-12)).split(1, dim=1)  # the largest is 1
    hue = (red - green).add_(4)
    hue = hue.lerp_((blue - red).add_(2), green.floor()).lerp_(green - blue, red.floor())
    distance = hue + offset  # (N, 3, P)
    distance = distance.sub_((distance * (1 / 6)).round_(), alpha=6).abs_()
    return torch.addcmul(value, chroma, torch.rsub(distance, 2).clamp_(0, 1), value=-1)


def _solarize(pixels: Tensor, threshold: Tensor) -> Tensor:
    """Inverts the values at or above ``threshold`` (N, 1, 1)."""
    is_bright = (pixels >= threshold).to(pixels.dtype)
    return pixels.mul(-2).add_(1).mul_(is_bright).add_(pixels)  # faster than a selection


def blur(images: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Blurs with the weights of ``blur_weights`` for height and width, or for both.

    Each direction is one product with a banded matrix, so every image can have its own sigma.
    """
    rows = _blur_matrix(weights[0])
    columns = _blur_matrix(weights[1]) if len(weights) > 1 else rows
    across = torch.bmm(images.flatten(1, 2), columns.mT)  # (N, 3 * H, W)
    return rows.unsqueeze(1) @ across.view(images.shape)


def _blur_matrix(weights: Tensor) -> Tensor:
    """Returns the matrices (N, size, size) that blur a line of ``size`` pixels, for weights (N, 2, 2 * size - 1).

    Pixel j contributes to pixel i with weight g(|i - j|), and by reflection with g(i + j) and g(2 (size - 1) - i - j).
    """
    size = (weights.shape[2] + 1) // 2
    both_sides, one_side = weights.unbind(1)
    matrix = both_sides.unfold(1, size, 1).flip(1)
    matrix[:, :, 1:].add_(one_side.unfold(1, size, 1)[:, :, 1:])
    matrix[:, :, :-1].add_(one_side.flip(1).unfold(1, size, 1)[:, :, :-1])
    return matrix


_SELECTED: dict[str, Callable[[Tensor, Tensor], Tensor]] = dict(
    hsv_saturation=_hsv_saturation, hue=_hue, solarize=_solarize
)


def run_programs(images: Tensor, programs: Tensor) -> Tensor:
    """Runs each image's photometric program.

    The programs are aligned first, see ``plan_steps``: at each step the images whose next operation is of the same kind
    change together. They are read on the CPU, so a GPU is not synchronised, and the parameters of all steps are copied
    at once.

    Args:
        images: (N, 3, H, W) in [0, 1], contiguous; may be overwritten.
        programs: (N, steps, 2) float32 on the CPU: code and parameter of each operation, see
            ``mmssl.datasets.transforms.photometric_program``.

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    shape = images.shape
    pixels = images.flatten(2)
    with exact_products():
        for step, rows, parameters in _steps_on_device(programs.numpy(), images):
            chosen = pixels if rows is None else pixels.index_select(0, rows)
            if step.kind == 'affine':
                changed = _affine(chosen, parameters, step)
            elif step.kind == 'blur':
                changed = blur(chosen.unflatten(2, shape[2:]), parameters).flatten(2)
            else:
                changed = _SELECTED[step.kind](chosen, parameters[0])
            pixels = changed if rows is None else pixels.index_copy_(0, rows, changed)
    return pixels.view(shape)


def _steps_on_device(programs: np.ndarray, images: Tensor) -> Iterator[tuple[Step, Tensor | None, Sequence[Tensor]]]:
    """Yields each step of the plan with its rows, None for all images, and its parameters, which two copies bring."""
    steps = plan_steps(programs)
    affine = [step for step in steps if step.kind == 'affine']
    others = [step for step in steps if step.kind != 'affine']
    some = [step.rows for step in others if len(step.rows) < len(images)]
    rows = iter(copied(some, images.device))
    own_arrays = [selective_parameters(step, images.shape[2:]) for step in others]
    arrays = [array for own in own_arrays for array in own]
    if affine:
        arrays += affine_maps(*(np.stack([getattr(step, key) for step in affine]) for key in ('codes', 'values')))
    tensors = [part.view(array.shape) for part, array in zip(copied(arrays, images.device), arrays)]
    maps = iter([*zip(*(tensor.unbind() for tensor in tensors[-3:]))] if affine else [])
    left, lengths = iter(tensors), iter([len(own) for own in own_arrays])
    for step in steps:
        own = next(maps) if step.kind == 'affine' else list(islice(left, next(lengths)))
        yield step, next(rows) if len(step.rows) < len(images) else None, own


def copied(arrays: Sequence[np.ndarray], device: torch.device) -> Sequence[Tensor]:
    """Returns the elements of each array on the device, after one copy of all of them."""
    if not arrays:
        return ()
    tensor = torch.from_numpy(np.concatenate([array.ravel() for array in arrays]))
    if device.type == 'cuda':
        tensor = tensor.pin_memory()  # a copy from pageable memory would synchronise
    return tensor.to(device, non_blocking=True).split([array.size for array in arrays])


def _operation(name: str, images: Tensor, values: Tensor) -> Tensor:
    program = torch.stack([torch.full_like(values, CODES[name]), values], dim=1).float()
    return run_programs(images.clone(memory_format=torch.contiguous_format), program[:, None].cpu())


FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    name: partial(_operation, name) for name in CODES if name != 'none'
}
"""Operation -> function of images (N, 3, H, W) in [0, 1] and one parameter per image, which returns new images."""
