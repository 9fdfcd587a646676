"""Photometric programs in Triton: one kernel runs the operations of every image on pixels that stay in registers.

``run_programs`` has the arguments and results of the function in ``photometric``. An operation on contrast needs the
mean of the whole image as it is then, so a program is cut into passes: before each such operation, whose mean the pass
before it adds up, and at each blur, which is left to ``photometric``. The programs of SimCLR and DINO take three passes
and one blur for any number of images. Tests run the kernel in Triton's interpreter; it was not measured on a GPU.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmssl.datasets.transforms.photometric_program import CODES, OPERATIONS
from mmssl.models.preprocessing.photometric import blur, copied, exact_products
from mmssl.models.preprocessing.photometric_plan import (
    IS_AFFINE,
    WITH_MEAN,
    Step,
    affine_maps,
    selective_parameters,
    without_gaps,
)

try:
    import triton
    import triton.language as tl
except ImportError:  # Triton has no wheel for this system
    triton = None

_BLOCK = 1024  # pixels that a program of the kernel changes
_BLUR = CODES['blur']
_SELECTIVE = {CODES['hue']: 2, CODES['hsv_saturation']: 3, CODES['solarize']: 4}  # code -> kind in the kernel
_KINDS = np.array([1 if IS_AFFINE[code] else _SELECTIVE.get(code, 0) for code in range(len(OPERATIONS))])
_NEEDS_MEAN = np.isin(np.arange(len(OPERATIONS)), list(WITH_MEAN))
_NUMBERS = 20  # of an operation: its kind, and the maps A, B and c of ``affine_maps`` or other parameters


@cache
def works() -> bool:
    """Returns whether the kernel runs on this process's GPU, after a trial; warns if Triton is there and it does not.

    Triton compiles a kernel when it is first called, which fails on a machine without a C compiler.
    """
    if triton is None or not torch.cuda.is_available():
        return False
    try:
        program = torch.tensor([[[CODES['contrast'], 0.5]]])
        run_programs(torch.zeros(1, 3, 8, 8, device='cuda'), program)
    except Exception as error:  # from the compiler, the driver or a missing tool
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        warnings.warn(f"colours are changed by torch's operations, because Triton fails: {reason}", stacklevel=2)
        return False
    return True


def run_programs(images: Tensor, programs: Tensor) -> Tensor:
    """Runs each image's photometric program.

    Args:
        images: (N, 3, H, W) float32 in [0, 1], contiguous; overwritten.
        programs: (N, steps, 2) float32 on the CPU: code and parameter of each operation, see
            ``mmssl.datasets.transforms.photometric_program``.

    Returns:
        ``images``, in [0, 1].
    """
    packed = without_gaps(programs.numpy())
    passes = plan_passes(packed)
    if not passes:
        return images
    number, _, height, width = images.shape
    tiles = triton.cdiv(height * width, _BLOCK)
    blurs = [step for step in passes if isinstance(step, Step)]
    weights = [selective_parameters(step, (height, width)) for step in blurs]
    floats = [_operations(packed), *(array for own in weights for array in own)]
    operations, *on_device = [part.view(array.shape) for part, array in zip(copied(floats, images.device), floats)]
    integers = copied([step.rows if isinstance(step, Step) else step for step in passes], images.device)
    sums = torch.empty(2, number, 3, tiles, device=images.device)  # one is read while the other is written
    for turn, (step, own) in enumerate(zip(passes, integers)):
        if isinstance(step, Step):
            given, on_device = on_device[: len(weights[0])], on_device[len(weights[0]) :]
            with exact_products():
                images.index_copy_(0, own, blur(images.index_select(0, own), given))
        else:
            _pass_kernel[number, tiles](
                images, operations, own, sums[turn % 2], sums[(turn + 1) % 2], height * width, packed.shape[1],
                tiles, _NUMBERS, _BLOCK, triton.next_power_of_2(tiles), enable_fp_fusion=False,
            )  # fmt: skip
    return images


def plan_passes(programs: np.ndarray) -> list[np.ndarray | Step]:
    """Cuts the programs of a batch into passes over the pixels, which all images make together, and blurs.

    Args:
        programs: (N, steps, 2) float32, each with its operations ``none`` at the end.

    Returns:
        For each pass the table (N, 4): first operation of the image, the one after the last, whether the first uses the
        mean that the pass before has added up, and whether this pass adds up the mean for the next operation. For each
        blur its step.
    """
    end = np.zeros((len(programs), 1), dtype=np.int64)
    codes = np.concatenate([programs[..., 0].astype(np.int64), end], axis=1)
    place, everyone = np.arange(codes.shape[1]), np.arange(len(codes))
    stops_before = (codes == 0) | (codes == _BLUR) | _NEEDS_MEAN[codes]
    position, has_mean = np.zeros(len(codes), dtype=np.int64), np.zeros(len(codes), dtype=np.int64)
    passes: list[np.ndarray | Step] = []
    while True:
        heads = codes[everyone, position]
        if not heads.any():
            return passes
        if np.isin(heads, (0, _BLUR)).all():
            rows = np.flatnonzero(heads)
            passes.append(Step('blur', rows, heads[rows], programs[rows, position[rows], 1]))
            position[rows] += 1
            continue
        stop = (stops_before & (place >= (position + has_mean)[:, None])).argmax(axis=1)
        wants_mean = _NEEDS_MEAN[codes[everyone, stop]].astype(np.int64)
        passes.append(np.stack([position, stop, has_mean, wants_mean], axis=1))
        position, has_mean = stop, wants_mean


def _operations(programs: np.ndarray) -> np.ndarray:
    """Returns the numbers of each operation (N, steps, 20) that the kernel reads."""
    codes, values = programs[..., 0].astype(np.int64), programs[..., 1]
    numbers = np.zeros((*codes.shape, _NUMBERS), dtype=np.float32)
    maps = affine_maps(codes, values)
    numbers[..., 1:] = np.concatenate([part.reshape(*codes.shape, -1) for part in maps], axis=-1)
    numbers[..., 0] = _KINDS[codes]
    for code in _SELECTIVE:
        own = codes == code
        step = Step(OPERATIONS[code], own.nonzero()[0], codes[own], values[own])
        (parameters,) = selective_parameters(step, ())
        numbers[own, 1 : 1 + parameters.shape[1]] = parameters[..., 0]
    return numbers


def _jit(function: Any) -> Any:
    return triton.jit(function) if triton is not None else function


@_jit
def _pass_kernel(
    pixels, operations, table, sums, known_sums, size, steps, tiles,
    NUMBERS: tl.constexpr, BLOCK: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """Runs one pass of one image on a block of its pixels, in place, and adds up their channels for the next pass."""
    n = tl.program_id(0).to(tl.int64)
    first, last = tl.load(table + n * 4).to(tl.int32), tl.load(table + n * 4 + 1).to(tl.int32)
    has_mean, wants_mean = tl.load(table + n * 4 + 2), tl.load(table + n * 4 + 3)
    if last - first + wants_mean > 0:
        place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
        inside = place < size
        at = pixels + n * 3 * size + place
        r = tl.load(at, mask=inside, other=0.0)
        g = tl.load(at + size, mask=inside, other=0.0)
        b = tl.load(at + 2 * size, mask=inside, other=0.0)
        tile = tl.arange(0, TILES)
        known = known_sums + n * 3 * tiles + tile
        is_known = tile < tiles * has_mean
        mean_r = tl.sum(tl.load(known, mask=is_known, other=0.0)) / size
        mean_g = tl.sum(tl.load(known + tiles, mask=is_known, other=0.0)) / size
        mean_b = tl.sum(tl.load(known + 2 * tiles, mask=is_known, other=0.0)) / size
        for step in range(first, last):
            own = operations + (n * steps + step) * NUMBERS
            kind = tl.load(own).to(tl.int32)
            own += 1
            if kind == 1:
                r, g, b = _affine(r, g, b, own, mean_r, mean_g, mean_b)
            elif kind == 2:
                r, g, b = _hue(r, g, b, own)
            elif kind == 3:
                r, g, b = _hsv_saturation(r, g, b, own)
            else:
                threshold = tl.load(own)
                r = tl.where(r >= threshold, 1 - r, r)
                g = tl.where(g >= threshold, 1 - g, g)
                b = tl.where(b >= threshold, 1 - b, b)
        if first < last:
            tl.store(at, r, mask=inside)
            tl.store(at + size, g, mask=inside)
            tl.store(at + 2 * size, b, mask=inside)
        if wants_mean > 0:
            target = sums + n * 3 * tiles + tl.program_id(1)
            tl.store(target, tl.sum(tl.where(inside, r, 0.0)))
            tl.store(target + tiles, tl.sum(tl.where(inside, g, 0.0)))
            tl.store(target + 2 * tiles, tl.sum(tl.where(inside, b, 0.0)))


@_jit
def _affine(r, g, b, own, mean_r, mean_g, mean_b):
    """Returns ``clip(A x + B m + c, 0, 1)`` for pixels x = (r, g, b) with mean m; see ``affine_maps``."""
    red = _row(r, g, b, own) + (_row(mean_r, mean_g, mean_b, own + 9) + tl.load(own + 18))
    green = _row(r, g, b, own + 3) + (_row(mean_r, mean_g, mean_b, own + 12) + tl.load(own + 18))
    blue = _row(r, g, b, own + 6) + (_row(mean_r, mean_g, mean_b, own + 15) + tl.load(own + 18))
    return _clip(red), _clip(green), _clip(blue)


@_jit
def _row(r, g, b, own):
    return r * tl.load(own) + g * tl.load(own + 1) + b * tl.load(own + 2)


@_jit
def _clip(x):
    return tl.minimum(tl.maximum(x, 0.0), 1.0)


@_jit
def _hue(r, g, b, own):
    """Shifts the HSV hue, with the equations of ``photometric``; the hue is in sixths of a turn, plus 4."""
    value = tl.maximum(tl.maximum(r, g), b)
    chroma = value - tl.minimum(tl.minimum(r, g), b)
    scale = tl.maximum(chroma, 1e-12)
    hue = tl.where(g == value, 2 + (b - r) / scale, 4 + (r - g) / scale)
    hue = tl.where(r == value, (g - b) / scale, hue)
    red = _channel(hue + tl.load(own), value, chroma)
    green = _channel(hue + tl.load(own + 1), value, chroma)
    blue = _channel(hue + tl.load(own + 2), value, chroma)
    return red, green, blue


@_jit
def _channel(distance, value, chroma):
    distance = tl.abs(distance - 6 * tl.floor(distance * (1 / 6) + 0.5))
    return value - chroma * _clip(2 - distance)


@_jit
def _hsv_saturation(r, g, b, own):
    """Multiplies the HSV saturation by a factor and clips it to 1."""
    value = tl.maximum(tl.maximum(r, g), b)
    chroma = value - tl.minimum(tl.minimum(r, g), b)
    ratio = tl.minimum(tl.load(own), value / tl.maximum(chroma, 1e-12))
    return value + (r - value) * ratio, value + (g - value) * ratio, value + (b - value) * ratio
