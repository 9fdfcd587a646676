"""The operations of ``adder2d`` in plain torch, on any device, tile by tile so that results stay in the cache.

A tile holds some positions of the output for some images. Its patches are copied once into a matrix: one row for each
element of a patch, one column for each position and image. Each filter is then compared with this matrix by operations
that are fast on long rows. No tensor has filters, patches and elements of a patch as its dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.grad import conv2d_weight

_ROWS = 160  # elements of a patch in a block: a 3x3 patch of 16 channels has 144
_BLOCK = 288 * 1024  # bytes of a block on the CPU: block and results fit in a cache of 1 MiB


class Tile(NamedTuple):
    """Patches of some images at some positions, cut into blocks of input channels."""

    blocks: list[tuple[slice, Tensor]]
    """Pairs of a slice of input channels and their patches (C_b, K, K, H_t, W_t, N_t), a view of the padded images."""
    rows: slice
    """Rows of the output."""
    columns: slice
    """Columns of the output."""


def negative_l1(images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    """Returns the negative L1 distance of every patch to every filter, (N, T, H', W').

    The distance is ``2 sum(max(x, f)) - sum(x) - sum(f)``, since ``|x - f| = 2 max(x, f) - x - f``: two operations per
    element, only one of which writes. Results above 0, which rounding can cause, are set to 0.

    Args:
        images: (N, C, H, W).
        filters: (T, C, K, K).
        stride: Stride in both directions.
        padding: Width of the zero padding on every side.
    """
    layout = _Layout(images, filters, stride, padding)
    output = images.new_empty(len(images), *layout.output_shape)
    offset = filters.sum((1, 2, 3))[:, None]
    for chunk in layout.image_chunks():
        padded = layout.padded(images[chunk])
        distances = images.new_empty(*layout.output_shape, padded.shape[-1])  # images are the last axis, as in a tile
        for tile in layout.tiles(padded):
            total = _sums_of_maxima(tile, layout).mul_(2).sub_(offset).neg_().clamp_(max=0)
            distances[:, tile.rows, tile.columns] = total.unflatten(1, tile.blocks[0][1].shape[3:])
        _copy_images_first(distances, output[chunk])
    return output


def input_gradient(grad: Tensor, images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    """Returns (N, C, H, W), the sum of ``grad * clip(f - x, -1, 1)`` over filters and patches; see ``negative_l1``."""
    layout = _Layout(images, filters, stride, padding)
    result = torch.empty_like(images, memory_format=torch.contiguous_format)
    inside = slice(padding, padding + images.shape[2]), slice(padding, padding + images.shape[3])
    for chunk in layout.image_chunks():
        padded, upstream = layout.padded(images[chunk]), _images_last(grad[chunk])
        gradient = torch.zeros_like(padded)
        for tile in layout.tiles(padded):
            weights = upstream[:, tile.rows, tile.columns].reshape(len(filters), 1, -1)
            for channels, patches in tile.blocks:
                block = _weighted_differences(patches, layout.columns[channels.start], list(weights))
                layout.add_patches(gradient[channels], block.view(patches.shape), tile)
        _copy_images_first(gradient[:, inside[0], inside[1]].contiguous(), result[chunk])
    return result


def filter_gradient(grad: Tensor, images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    """Returns (T, C, K, K), the sum of ``grad * (x - f)`` over patches; see ``negative_l1``.

    It is the filter gradient of a convolution minus the filters times the sums of ``grad``.
    """
    products = conv2d_weight(images, list(filters.shape), grad, stride, padding)
    return products - filters * grad.sum((0, 2, 3)).view(-1, 1, 1, 1)


def _sums_of_maxima(tile: Tile, layout: _Layout) -> Tensor:
    """Returns ``sum(max(x, f)) - sum(x) / 2`` over the elements of each patch x and filter f, (T, positions)."""
    partial = None
    for channels, patches in tile.blocks:
        block = patches.reshape(-1, patches[0, 0, 0].numel())
        maxima = torch.empty_like(block)
        sums = block.new_empty(len(layout.filters), block.shape[1])
        for column, row in zip(layout.columns[channels.start], sums.unbind()):
            torch.maximum(block, column, out=maxima)
            torch.sum(maxima, 0, out=row)
        sums.sub_(block.sum(0), alpha=0.5)
        partial = sums if partial is None else partial.add_(sums)
    assert partial is not None
    return partial


def _weighted_differences(patches: Tensor, columns: list[Tensor], weights: list[Tensor]) -> Tensor:
    """Returns the sum of ``weight * clip(f - x, -1, 1)`` over filters, (elements, positions)."""
    block = patches.reshape(-1, patches[0, 0, 0].numel())
    total, differences = torch.zeros_like(block), torch.empty_like(block)
    for column, weight in zip(columns, weights):
        torch.sub(column, block, out=differences)
        total.addcmul_(differences.clamp_(-1, 1), weight)
    return total


def _images_last(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (C, H, W, N), contiguous."""
    return images.flatten(1).t().contiguous().unflatten(0, images.shape[1:])


def _copy_images_first(source: Tensor, target: Tensor) -> None:
    """Copies (C, H, W, N) to (N, C, H, W), both contiguous, as the transpose of a matrix, which is fast in torch."""
    target.flatten(1).copy_(source.flatten(0, 2).t())


class _Layout:
    """The division of images, filters and output of a layer into tiles and blocks."""

    def __init__(self, images: Tensor, filters: Tensor, stride: int, padding: int) -> None:
        self.filters, self.stride, self.padding = filters, stride, padding
        self.num_images, inputs, height, width = images.shape
        self.kernel = filters.shape[2]
        rows, columns = ((side + 2 * padding - self.kernel) // stride + 1 for side in (height, width))
        self.output_shape = (len(filters), rows, columns)
        self.channels = _equal_slices(inputs, max(1, _ROWS // self.kernel**2))
        # first channel of a block -> one column per filter with its elements in the block
        self.columns = {block.start: list(filters[:, block].flatten(1)[..., None]) for block in self.channels}
        on_cpu = images.device.type == 'cpu'
        size = _BLOCK * torch.get_num_threads() if on_cpu else 2**26
        self.positions = max(1, size // images.element_size() // (self.channels[0].stop * self.kernel**2))
        self.max_images = 64 if on_cpu else 256

    def image_chunks(self) -> list[slice]:
        """Returns slices of the images; the images of one slice share a tile."""
        return _equal_slices(self.num_images, self.max_images)

    def padded(self, images: Tensor) -> Tensor:
        """Pads images (N, C, H, W) and moves the images last: (C, H + 2 P, W + 2 P, N)."""
        return pad(_images_last(images), (0, 0, *[self.padding] * 4)) if self.padding else _images_last(images)

    def tiles(self, padded: Tensor) -> Iterator[Tile]:
        """Yields the tiles of padded images (C, H + 2 P, W + 2 P, N)."""
        _, height, width = self.output_shape
        images = padded.shape[-1]
        step_w = max(1, min(width, self.positions // images))
        step_h = max(1, self.positions // (images * step_w))
        patches = padded.unfold(1, self.kernel, self.stride).unfold(2, self.kernel, self.stride)
        patches = patches.permute(0, 4, 5, 1, 2, 3)  # (C, K, K, H', W', N)
        for rows in _equal_slices(height, step_h):
            for columns in _equal_slices(width, step_w):
                here = patches[..., rows, columns, :]
                yield Tile([(channels, here[channels]) for channels in self.channels], rows, columns)

    def add_patches(self, images: Tensor, patches: Tensor, tile: Tile) -> None:
        """Adds the ``patches`` of a tile to the pixels of ``images`` (C, H, W, N) from which they were cut."""
        for row in range(self.kernel):
            for column in range(self.kernel):
                pixels = images[:, self._pixels(tile.rows, row), self._pixels(tile.columns, column)]
                pixels += patches[:, row, column]

    def _pixels(self, positions: slice, offset: int) -> slice:
        last = (positions.stop - 1) * self.stride + offset
        return slice(positions.start * self.stride + offset, last + 1, self.stride)


def _equal_slices(length: int, limit: int) -> list[slice]:
    """Cuts 0 ... length - 1 into the smallest number of slices of at most ``limit``, of almost equal length."""
    number = -(-length // limit)
    bounds = [length * index // number for index in range(number + 1)] if number else []
    return [slice(start, stop) for start, stop in zip(bounds, bounds[1:])]
