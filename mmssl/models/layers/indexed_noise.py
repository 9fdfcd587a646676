"""Random numbers that depend on the image, not on its batch or process."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_ROUNDS = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15))  # shifts and factors of SplitMix64, as signed numbers
_STEPS = (-0x61C8864680B583EB, -0x2E5BAA2F8A1B6C5B, 0x5851F42D4C957F2D)  # odd factors of index, position and seed
_SHIFT = 31
_BITS = 23  # float32 represents multiples of half a step exactly


def indexed_uniform(indices: Tensor, shape: Sequence[int], seed: int | Tensor) -> Tensor:
    """Uniform random numbers in (0, 1) that depend only on (index, position, seed).

    They are hashes (SplitMix64, Steele et al., 2014) of the three numbers. So the numbers of an image are the same for
    any number of processes, in a resumed run, and on CPU and GPU to the last bit, and the device is not synchronised.

    Args:
        indices: (N,) int64, the positions of the images in their dataset.
        shape: Shape of the numbers of one image.
        seed: Seed of this draw; an int64 scalar tensor stays on its device.

    Returns:
        (N, *shape) float32, odd multiples of 2^-24.
    """
    words = (_words(indices, shape, seed) >> (64 - _BITS)) & ((1 << _BITS) - 1)
    return (words.float() + 0.5) / (1 << _BITS)


def indexed_integers(indices: Tensor, shape: Sequence[int], seed: int | Tensor, high: int) -> Tensor:
    """Uniform random integers in [0, high) that depend only on (index, position, seed), see ``indexed_uniform``.

    Args:
        indices: (N,) int64, the positions of the images in their dataset.
        shape: Shape of the numbers of one image.
        seed: Seed of this draw; an int64 scalar tensor stays on its device.
        high: Number of values, far below 2^62: the probabilities of two values differ by at most high / 2^62 of them.

    Returns:
        (N, *shape) int64.
    """
    return _shift_right(_words(indices, shape, seed), 2) % high


def _words(indices: Tensor, shape: Sequence[int], seed: int | Tensor) -> Tensor:
    """Returns hashes, (N, *shape) int64, of which every bit is random."""
    position = torch.arange(torch.Size(shape).numel(), device=indices.device)
    seed = torch.as_tensor(seed) * _STEPS[2]  # as an int64 tensor, which wraps around; a Python integer would not
    state = _mix(_mix(indices * _STEPS[0] + seed)[:, None] + position * _STEPS[1])
    return state.unflatten(1, tuple(shape))


def _mix(state: Tensor) -> Tensor:
    """Applies the last step of SplitMix64, after which every bit depends on every bit of ``state``."""
    for shift, factor in _ROUNDS:
        state = (state ^ _shift_right(state, shift)) * factor
    return state ^ _shift_right(state, _SHIFT)


def _shift_right(state: Tensor, bits: int) -> Tensor:
    """Shifts right and fills with zeros; ``>>`` would repeat the sign bit."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)
