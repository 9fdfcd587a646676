"""The operations of ``adder2d`` in Triton, which compute in registers and write only the results.

The functions have the arguments and results of those in ``adder_tiles``, in float32. Tests run the kernels in Triton's
interpreter; they were not measured on a GPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # Triton has no wheel for this system
    triton = None

IS_AVAILABLE = triton is not None

_POSITIONS, _CHANNELS = 128, 32  # size of the block that a program computes at once
_SHARES = 64  # largest number of shares of the positions that sum the filter gradient separately


def negative_l1(images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    """Returns the negative L1 distance of every patch to every filter, (N, T, H', W')."""
    rows, columns = ((side + 2 * padding - filters.shape[2]) // stride + 1 for side in images.shape[2:])
    output = images.new_empty(len(images), len(filters), rows, columns)
    positions = len(images) * rows * columns
    if positions:
        grid = (triton.cdiv(positions, _POSITIONS), triton.cdiv(len(filters), _CHANNELS))
        _forward_kernel[grid](
            images.contiguous(), filters.contiguous(), output, positions, *_sizes(images, filters, output),
            filters.shape[2], stride, padding, _POSITIONS, _CHANNELS,
        )  # fmt: skip
    return output


def input_gradient(grad: Tensor, images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    """Returns the sum of ``grad * clip(f - x, -1, 1)`` over filters and patches, (N, C, H, W)."""
    images = images.contiguous()
    result = torch.empty_like(images)
    positions = len(images) * images.shape[2] * images.shape[3]
    if positions:
        grid = (triton.cdiv(positions, _POSITIONS), triton.cdiv(images.shape[1], _CHANNELS))
        _input_kernel[grid](
            grad.contiguous(), images, filters.contiguous(), result, positions, *_sizes(images, filters, grad),
            filters.shape[2], stride, padding, _POSITIONS, _CHANNELS,
        )  # fmt: skip
    return result


def filter_gradient(grad: Tensor, images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    """Returns the sum of ``grad * (x - f)`` over patches, (T, C, K, K).

    The positions are divided into shares whose sums are added in a fixed order, so that the result is the same in every
    run. The sums of all shares take no more memory than ``grad`` or the filters, whichever is larger.
    """
    positions = grad.numel() // len(filters)
    shares = max(1, min(_SHARES, grad.numel() // filters.numel(), positions // _POSITIONS))
    sums = torch.zeros(shares, *filters.shape, dtype=filters.dtype, device=filters.device)
    elements = filters[0].numel()
    if positions:
        grid = (triton.cdiv(len(filters), _CHANNELS), triton.cdiv(elements, _CHANNELS), shares)
        _filter_kernel[grid](
            grad.contiguous(), images.contiguous(), filters.contiguous(), sums, positions,
            triton.cdiv(positions, shares), *_sizes(images, filters, grad),
            filters.shape[2], stride, padding, _CHANNELS, _CHANNELS, _CHANNELS,
        )  # fmt: skip
    return sums.sum(0)


def _sizes(images: Tensor, filters: Tensor, output: Tensor) -> tuple[int, ...]:
    """Returns channels, height and width of the images, number of filters, height and width of the output."""
    return (*images.shape[1:], len(filters), *output.shape[2:])


def _jit(function: Any) -> Any:
    return triton.jit(function) if IS_AVAILABLE else function


@_jit
def _forward_kernel(
    images, filters, output, positions, C, H, W, T, OH, OW,
    K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_T: tl.constexpr,
):  # fmt: skip
    """Computes a block of positions of the output by a block of filters, in a loop over the elements of a patch."""
    position = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    t = tl.program_id(1) * BLOCK_T + tl.arange(0, BLOCK_T)
    n, row, column = position // (OH * OW), position // OW % OH, position % OW
    distance = tl.zeros((BLOCK_P, BLOCK_T), tl.float32)
    for c in range(C):
        for i in range(K):
            for j in range(K):
                h, w = row * S + i - P, column * S + j - P
                inside = (position < positions) & (h >= 0) & (h < H) & (w >= 0) & (w < W)
                x = tl.load(images + ((n * C + c) * H + h) * W + w, mask=inside, other=0.0)
                f = tl.load(filters + ((t * C + c) * K + i) * K + j, mask=t < T, other=0.0)
                distance += tl.abs(x[:, None] - f[None, :])
    place = (n[:, None] * T + t[None, :]) * (OH * OW) + (position % (OH * OW))[:, None]
    tl.store(output + place, -distance, mask=(position < positions)[:, None] & (t < T)[None, :])


@_jit
def _input_kernel(
    grad, images, filters, result, positions, C, H, W, T, OH, OW,
    K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Computes a block of pixels by a block of channels, in a loop over filters and patches that contain a pixel."""
    position = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    n, h, w = position // (H * W), position // W % H, position % W
    place = (n[:, None] * C + c[None, :]) * (H * W) + (position % (H * W))[:, None]
    inside = (position < positions)[:, None] & (c < C)[None, :]
    x = tl.load(images + place, mask=inside, other=0.0)
    total = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    for i in range(K):
        for j in range(K):
            row, column = (h + P - i) // S, (w + P - j) // S
            reached = (position < positions) & (h + P - i >= 0) & (w + P - j >= 0) & (row < OH) & (column < OW)
            reached = reached & ((h + P - i) % S == 0) & ((w + P - j) % S == 0)
            for t in range(T):
                g = tl.load(grad + ((n * T + t) * OH + row) * OW + column, mask=reached, other=0.0)
                f = tl.load(filters + ((t * C + c) * K + i) * K + j, mask=c < C, other=0.0)
                total += g[:, None] * tl.minimum(tl.maximum(f[None, :] - x, -1.0), 1.0)
    tl.store(result + place, total, mask=inside)


@_jit
def _filter_kernel(
    grad, images, filters, sums, positions, share, C, H, W, T, OH, OW,
    K: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
    BLOCK_T: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    """Computes a block of filters by a block of their elements, in a loop over one share of the positions."""
    t = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    e = tl.program_id(1) * BLOCK_E + tl.arange(0, BLOCK_E)
    c, i, j = e // (K * K), e // K % K, e % K
    first = tl.program_id(2).to(tl.int64) * share
    last = tl.minimum(first + share, positions)
    products = tl.zeros((BLOCK_T, BLOCK_E), tl.float32)
    weight = tl.zeros((BLOCK_T,), tl.float32)
    for start in range(0, share, BLOCK_P):
        position = first + start + tl.arange(0, BLOCK_P)
        n, row, column = position // (OH * OW), position // OW % OH, position % OW
        there = position < last
        at = (n[None, :] * T + t[:, None]) * (OH * OW) + (position % (OH * OW))[None, :]
        g = tl.load(grad + at, mask=(t < T)[:, None] & there[None, :], other=0.0)
        h, w = row[:, None] * S + i[None, :] - P, column[:, None] * S + j[None, :] - P
        inside = there[:, None] & (e < C * K * K)[None, :] & (h >= 0) & (h < H) & (w >= 0) & (w < W)
        x = tl.load(images + ((n[:, None] * C + c[None, :]) * H + h) * W + w, mask=inside, other=0.0)
        products += tl.dot(g, x, input_precision='ieee')
        weight += tl.sum(g, 1)
    place = t[:, None] * (C * K * K) + e[None, :]
    inside = (t < T)[:, None] & (e < C * K * K)[None, :]
    f = tl.load(filters + place, mask=inside, other=0.0)
    target = sums + tl.program_id(2).to(tl.int64) * T * C * K * K + place
    tl.store(target, products - f * weight[:, None], mask=inside)
