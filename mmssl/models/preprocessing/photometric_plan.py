"""The plan of a batch's photometric programs: which images change together at each step, and the parameters.

Everything here is computed on the CPU with NumPy; ``photometric`` carries out the plan on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmssl.datasets.transforms.photometric_program import CODES, OPERATIONS

_LUMA = np.tile(np.array([0.2989, 0.587, 0.114], dtype=np.float32), (3, 1))  # ITU-R 601, rounded as in torchvision
_IDENTITY = np.eye(3, dtype=np.float32)

# Operation -> matrices U and V: a pixel x with parameter f becomes U x + f (V x) ...
_OF_PIXEL = {
    'none': (_IDENTITY, 0 * _IDENTITY),
    'brightness': (0 * _IDENTITY, _IDENTITY),
    'contrast': (0 * _IDENTITY, _IDENTITY),
    'saturation': (_LUMA, _IDENTITY - _LUMA),
    'grayscale': (_LUMA, 0 * _IDENTITY),
    'brightness_offset': (_IDENTITY, 0 * _IDENTITY),
    'channel_contrast': (0 * _IDENTITY, _IDENTITY),
}
# ... + (1 - f) W m, where m is the mean of the image's pixels.
_OF_MEAN = {'contrast': _LUMA, 'channel_contrast': _IDENTITY}

_SELECTIVE = ('solarize', 'hsv_saturation', 'hue', 'blur')  # the cheapest first
IS_AFFINE = np.array([name in _OF_PIXEL and name != 'none' for name in OPERATIONS])
WITH_MEAN = {CODES[name] for name in _OF_MEAN}
_MIXING = {CODES['saturation'], CODES['grayscale']}  # mix channels
_OFFSET = CODES['brightness_offset']
_CONSTANT = np.stack([_OF_PIXEL.get(name, _OF_PIXEL['none'])[0] for name in OPERATIONS])
_SLOPE = np.stack([_OF_PIXEL.get(name, _OF_PIXEL['none'])[1] for name in OPERATIONS])
_MEAN = np.stack([_OF_MEAN.get(name, 0 * _IDENTITY) for name in OPERATIONS])
_HUES = np.array([3, 5, 1], dtype=np.float32)  # opposite to red, green and blue, in sixths of a turn


@dataclass
class Step:
    """A step of a plan.

    Args:
        kind: ``'affine'``, or the name of another operation.
        rows: Indices (n,) of the images that change; of all N images at an affine step, where some keep their pixels.
        codes: (n,) code of the operation of each image.
        values: (n,) float32, its parameter.
    """

    kind: str
    rows: np.ndarray
    codes: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        """Sets, for an affine step, which of the maps A, B and c of ``affine_maps`` matter."""
        own = set(self.codes.tolist())
        self.uses_mean = not own.isdisjoint(WITH_MEAN)
        self.uses_offset = self.uses_mean or _OFFSET in own
        self.is_diagonal = own.isdisjoint(_MIXING)


def plan_steps(programs: np.ndarray) -> list[Step]:
    """Aligns the programs of a batch so that few steps carry out all of them.

    The next step is another operation than an affine one if it is the next operation of all images that still need it.
    Otherwise it is an affine step, which advances every image whose next operation is affine. If there is none, it is
    the cheapest of the other operations.

    Args:
        programs: (N, steps, 2) float32: code and parameter of each operation, see
            ``mmssl.datasets.transforms.photometric_program``.
    """
    end = np.zeros((len(programs), 1, 2), dtype=np.float32)
    programs = np.concatenate([without_gaps(programs), end], axis=1)
    codes, position = programs[..., 0].astype(np.int64), np.zeros(len(programs), dtype=np.int64)
    everyone = np.arange(len(programs))
    steps: list[Step] = []
    while True:
        heads = codes[everyone, position]
        if not heads.any():
            return steps
        code = _next_code(codes, position, heads)
        if code is None:
            is_affine = IS_AFFINE[heads]
            steps.append(Step('affine', everyone, np.where(is_affine, heads, 0), programs[everyone, position, 1]))
            position += is_affine
        else:
            rows = np.flatnonzero(heads == code)
            steps.append(Step(OPERATIONS[code], rows, heads[rows], programs[rows, position[rows], 1]))
            position[rows] += 1


def without_gaps(programs: np.ndarray) -> np.ndarray:
    """Moves the operations ``none``, which a program may have anywhere, to its end."""
    order = np.argsort(programs[..., 0] == 0, axis=1, kind='stable')
    return np.take_along_axis(programs, order[..., None], axis=1)


def _next_code(codes: np.ndarray, position: np.ndarray, heads: np.ndarray) -> int | None:
    """Returns the code of the next step's operation, None for an affine step."""
    if len(heads) == 1:  # usual on a CPU, where a large image is a batch
        return None if IS_AFFINE[heads[0]] else int(heads[0])
    remaining = np.arange(codes.shape[1]) >= position[:, None]
    present = [code for code in (CODES[name] for name in _SELECTIVE) if (heads == code).any()]
    for code in present:
        if ((codes == code) & remaining).any(axis=1).sum() == (heads == code).sum():
            return code
    return None if IS_AFFINE[heads].any() else present[0]


def affine_maps(codes: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    """Returns the maps of affine operations: a pixel x becomes ``clip(A x + B m + c, 0, 1)`` with the image's mean m.

    Args:
        codes: (steps, N) codes, 0 for an image that keeps its pixels.
        values: (steps, N) float32 parameters.

    Returns:
        A (steps, N, 3, 3), B (steps, N, 3, 3) and c (steps, N, 1, 1), float32.
    """
    factor = values[..., None, None]
    offset = np.where(codes == _OFFSET, values, np.float32(0))[..., None, None]
    return [_CONSTANT[codes] + factor * _SLOPE[codes], (1 - factor) * _MEAN[codes], offset]


def selective_parameters(step: Step, sizes: Sequence[int]) -> list[np.ndarray]:
    """Returns the parameters of a step that is not affine.

    Args:
        step: Step with n images.
        sizes: Height and width of the images in pixels.

    Returns:
        For ``hue`` the shift (n, 3, 1) in sixths of a turn less the hues opposite to red, green and blue; for ``blur``
        the ``blur_weights`` of height and, if it differs, width; for the others the parameter (n, 1, 1).
    """
    if step.kind == 'hue':
        return [(6 * step.values[:, None] - _HUES)[..., None]]
    if step.kind == 'blur':
        return [blur_weights(step.values, size) for size in dict.fromkeys(sizes)]
    return [step.values[:, None, None]]


def blur_weights(sigma: np.ndarray, size: int) -> np.ndarray:
    """Returns the weights of a Gaussian blur along a line of ``size`` pixels.

    Args:
        sigma: (n,) standard deviations in pixels > 0; the Gaussian is truncated at 4 sigma, rounded up to a pixel.
        size: Length of the line in pixels.

    Returns:
        (n, 2, 2 * size - 1) float32: the weights for distances from -(size - 1) to size - 1, and from 0 to
        2 * size - 2, which reflected pixels have.
    """
    distance = np.arange(2 * size - 1, dtype=np.float32)
    sigma = sigma.astype(np.float32)[:, None]
    one_side = np.exp(-0.5 * (distance / sigma) ** 2) * (distance <= np.ceil(4 * sigma))
    one_side /= 2 * one_side.sum(axis=1, keepdims=True) - 1  # the weight at distance 0 is 1
    both_sides = np.concatenate([one_side[:, size - 1 : 0 : -1], one_side[:, :size]], axis=1)
    return np.stack([both_sides, one_side], axis=1)
