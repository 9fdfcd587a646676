"""Random numbers that belong to an image, whatever batch and process it is in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_ROUNDS = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15))  # shifts and factors of SplitMix64, as signed numbers
_STEPS = (-0x61C8864680B583EB, -0x2E5BAA2F8A1B6C5B, 0x5851F42D4C957F2D)  # odd factors of index, position and seed
_SHIFT = 31
_BITS = 23  # so that float32 holds a multiple of half a step exactly


def indexed_uniform(indices: Tensor, shape: Sequence[int], seed: int | Tensor) -> Tensor:
    """Uniform numbers in (0, 1) that depend on (index, position, seed) alone.

    They are hashes (SplitMix64, Steele et al., 2014) of the three numbers, so N processes draw for an image what one
    process draws, a resumed run draws the same again, a CPU and a GPU agree to the last bit, and nothing waits for the
    device.

    Args:
        indices: (N,) int64, the positions of the images in their dataset.
        shape: Shape of the numbers of one image.
        seed: Whatever else tells one drawing from another; an int64 scalar tensor keeps it on the device.

    Returns:
        (N, *shape) float32, odd multiples of 2^-24.
    """
    position = torch.arange(torch.Size(shape).numel(), device=indices.device)
    seed = torch.as_tensor(seed) * _STEPS[2]  # a tensor of int64 wraps around, a number of Python would not
    state = _mix(_mix(indices * _STEPS[0] + seed)[:, None] + position * _STEPS[1])
    words = (state >> (64 - _BITS)) & ((1 << _BITS) - 1)
    return ((words.float() + 0.5) / (1 << _BITS)).unflatten(1, tuple(shape))


def _mix(state: Tensor) -> Tensor:
    """The last step of SplitMix64: every bit of the 64-bit numbers depends on every bit of ``state``."""
    for shift, factor in _ROUNDS:
        state = (state ^ _shift_right(state, shift)) * factor
    return state ^ _shift_right(state, _SHIFT)


def _shift_right(state: Tensor, bits: int) -> Tensor:
    """Shifts zeros in from the left, where ``>>`` would repeat the sign."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)
