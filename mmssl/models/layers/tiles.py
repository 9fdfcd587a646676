"""Tiles of an image: where they are in a mosaic, and which of them are neighbours."""

from __future__ import annotations

from typing import Any

from torch import Tensor

# Steps (row, column) to the eight neighbours in raster order; the position in this list is the class of the neighbour:
# 0 1 2
# 3 . 4
# 5 6 7
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def split_mosaic(mosaic: Tensor, grid: int = 3) -> Tensor:
    """Cuts mosaics, as ``TileView`` draws them, into their tiles.

    Args:
        mosaic: (N, C, G * S, G * S), square, with G = ``grid`` tiles of S pixels per side.
        grid: Number of tiles per side.

    Returns:
        (N, G * G, C, S, S), tiles in raster order: tile ``G * i + j`` stands in row i and column j.

    Raises:
        ValueError: The side of the mosaic is not a multiple of ``grid``.
    """
    height, width = mosaic.shape[-2:]
    if height % grid or width % grid:
        raise ValueError(f'a mosaic of {height} x {width} pixels does not consist of {grid} x {grid} tiles')
    tiles = mosaic.unflatten(-1, (grid, width // grid)).unflatten(-3, (grid, height // grid))  # (N, C, G, S, G, S)
    return tiles.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)


def check_tiles(neck: Any, number: int, place: str) -> None:
    """Checks that a neck takes the tiles of an algorithm; a neck without ``num_tiles`` is not checked.

    Args:
        neck: Neck, such as a ``TileNeck``.
        number: Number of tiles that the algorithm gives it at once.
        place: Key of the neck in the config, for the message.

    Raises:
        ValueError: The neck takes another number of tiles.
    """
    if getattr(neck, 'num_tiles', number) != number:
        raise ValueError(f'{place}.num_tiles must be {number}, got {neck.num_tiles}')


def neighbour_pairs(grid: int = 3) -> tuple[list[tuple[int, int]], list[int]]:
    """Returns all ordered pairs of adjacent tiles of a grid, diagonal neighbours included, and their classes.

    Args:
        grid: Number of tiles per side.

    Returns:
        Pairs (first, second) of tiles in raster order, and for each pair the place of the second tile as seen from the
        first, an index of ``NEIGHBOURS``. A grid of 3 has 40 pairs.
    """
    pairs, labels = [], []
    for first in range(grid * grid):
        row, column = divmod(first, grid)
        for label, (down, right) in enumerate(NEIGHBOURS):
            if 0 <= row + down < grid and 0 <= column + right < grid:
                pairs.append((first, (row + down) * grid + column + right))
                labels.append(label)
    return pairs, labels


def join_tiles(tiles: Tensor, gap: int = 0) -> Tensor:
    """Puts tiles into mosaics, the inverse of ``split_mosaic``.

    Args:
        tiles: (N, G * G, C, S, S), in raster order.
        gap: Width in pixels of the lines between tiles, which have the largest value of each mosaic; for figures.

    Returns:
        (N, C, W, W) with W = G * S + (G - 1) * ``gap``.
    """
    grid, side = round(tiles.shape[1] ** 0.5), tiles.shape[-1]
    lines = tiles.flatten(1).amax(dim=1)[:, None, None, None]
    width = grid * side + (grid - 1) * gap
    mosaic = lines.expand(-1, tiles.shape[2], width, width).clone()
    for index, tile in enumerate(tiles.unbind(1)):
        top, left = ((side + gap) * place for place in divmod(index, grid))
        mosaic[..., top : top + side, left : left + side] = tile
    return mosaic
