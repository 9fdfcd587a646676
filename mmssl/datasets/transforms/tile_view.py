"""The view of methods that see an image as a grid of tiles: relative location, jigsaw and PIRL."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmssl.datasets.transforms.augmented_view import AugmentedView
from mmssl.datasets.transforms.geometry import draw_crop, resize
from mmssl.registry import TRANSFORMS

_RATIO = (3 / 4, 4 / 3)
_MEAN = (123.675, 116.28, 103.53)  # pixel values that a dropped channel has on average
_NOISE = 0.01  # standard deviation of a dropped channel / standard deviation of the channel that is kept


class DrawnTiles(NamedTuple):
    """The random draws of a view of tiles."""

    box: tuple[int, int, int, int]
    """Top, left, height and width in pixels of the image of the region that is cut into cells."""
    flipped: bool
    """True if left and right of the region are exchanged before the cut."""
    offsets: Tensor
    """Top and left of each tile in its cell, for each colour channel, int64 (2, G * G, 3)."""
    kept: tuple[int, ...]
    """Colour channel that each tile keeps; -1 keeps all three."""
    seed: int
    """Seed of the noise in dropped channels."""
    program: Tensor
    """Photometric program of the whole mosaic, float32 (steps, 2)."""


def cut_tiles(region: Tensor, offsets: Tensor, size: int) -> Tensor:
    """Cuts one tile out of each cell of a grid.

    Args:
        region: (C, R, R); the grid has G x G cells of R // G pixels.
        offsets: int64 (2, G * G, C), top and left of the tiles in their cells, in raster order, for each channel.
            A position beyond the region is moved to its border.
        size: Side of a tile in pixels.

    Returns:
        (G * G, C, size, size), in raster order.
    """
    grid = round(offsets.shape[1] ** 0.5)
    cell, last = region.shape[-1] // grid, region.shape[-1] - size
    tiles = region.new_empty(grid * grid, len(region), size, size)
    for index, places in enumerate(offsets.permute(1, 2, 0).tolist()):
        row, column = divmod(index, grid)
        for channel, (down, right) in enumerate(places):
            top, left = min(cell * row + down, last), min(cell * column + right, last)
            tiles[index, channel] = region[channel, top : top + size, left : left + size]
    return tiles


@TRANSFORMS.register_module()
class TileView:
    """Cuts a region of an image into G x G cells, and a smaller tile out of each cell at a random place.

    The tiles come as one picture, a mosaic with the tiles in raster order, so that they pass loader and device like any
    view; ``split_mosaic`` separates them. Three shortcuts let a network find the place of a tile without knowing what
    it shows. Each has a counter-measure:

    - lines that continue over an edge: the gap between tiles, which is the cell without the tile, and its random size;
    - chromatic aberration, which displaces the colours more towards the rim of a lens: ``photometric=dict(grayscale=
      ...)``, ``drop_channels`` and ``channel_jitter``;
    - the position in the photograph: the random crop.

    Published settings:

    - relative location (OpenSelfSup): ``size=192, crop=255, resize=292, photometric=dict(grayscale=0.66)``
    - jigsaw (VISSL): ``size=192, crop=255, resize=256, flip=0.5, max_offset=20, photometric=dict(grayscale=0.66)``
    - PIRL: ``size=192, crop=255, min_scale=0.6, max_offset=20, photometric=dict(jitter=(.4, .4, .4, .2), ...)``

    The crop is taken before the resize, which gives the same pixels as the official order up to the filter at the
    border. Photometric operations change the whole mosaic, not each tile.

    Args:
        size: Side of the mosaic in pixels, ``grid`` times the side of a tile.
        crop: Side in pixels of the region, after the resize, that is cut into cells.
        grid: Number G of cells per side.
        resize: Length in pixels to which the short side of the image is scaled before the region is cropped at a random
            place; None means ``crop``, the largest square.
        min_scale: Smallest area of the region as a fraction of the image's area; the region is then a random resized
            crop with an aspect ratio of 3/4 to 4/3, which takes no ``resize``.
        flip: Probability that the region is flipped before it is cut. A flip after the cut would mirror each tile but
            not the grid.
        max_offset: Largest distance of a tile from the upper and left border of its cell in pixels; None means the
            largest that fits.
        channel_jitter: Largest further offset of each colour channel of a tile in pixels (Noroozi and Favaro).
        drop_channels: Probability that a tile keeps one random colour channel; the other two become noise
            (arXiv:1505.05192, section 4.1).
        photometric: Arguments of ``AugmentedView`` for colours: ``jitter``, ``grayscale``, ``blur``, ...

    Raises:
        ValueError: A number is outside its range, or tiles do not fit into their cells.
    """

    kind = 'tiles'
    needs_rgb = True

    def __init__(
        self,
        size: int,
        crop: int,
        *,
        grid: int = 3,
        resize: int | None = None,
        min_scale: float | None = None,
        flip: float = 0.0,
        max_offset: int | None = None,
        channel_jitter: int = 0,
        drop_channels: float = 0.0,
        photometric: dict | None = None,
    ) -> None:
        if grid < 1 or size < grid or size % grid:
            raise ValueError(f'size must be a multiple of the {grid} tiles of a side, got {size}')
        self.size, self.grid, self.crop = size, grid, crop
        self.tile, room = size // grid, crop // grid - size // grid
        self.max_offset = room if max_offset is None else max_offset
        if not 0 <= self.max_offset <= room:
            raise ValueError(
                f'tiles of {self.tile} pixels leave {room} in cells of {crop // grid} (crop={crop}, size={size}), so '
                f'max_offset must lie in 0 to {room}, got {max_offset}: enlarge crop or reduce size'
            )
        if resize is not None and min_scale is not None:
            raise ValueError(f'TileView takes resize or min_scale, not both, got {resize} and {min_scale}')
        self.resize = crop if resize is None else resize
        if self.resize < crop or channel_jitter < 0 or not 0 < (1 if min_scale is None else min_scale) <= 1:
            raise ValueError(
                f'TileView needs resize >= crop={crop}, channel_jitter >= 0 and 0 < min_scale <= 1, got {resize}, '
                f'{channel_jitter} and {min_scale}'
            )
        if not (0 <= flip <= 1 and 0 <= drop_channels <= 1):
            raise ValueError(f'flip and drop_channels are probabilities, got {flip} and {drop_channels}')
        self.min_scale, self.flip = min_scale, flip
        self.channel_jitter, self.drop_channels = channel_jitter, drop_channels
        if geometric := {'size', 'min_scale', 'max_scale', 'ratio', 'interpolation', 'crop', 'flip'} & set(
            photometric or {}
        ):
            raise ValueError(
                f'photometric changes colours alone, so {", ".join(sorted(geometric))} would have no effect there: '
                'TileView has arguments of its own for the region and its flip'
            )
        self.colors = AugmentedView(size, **(photometric or {}))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: object = None) -> DrawnTiles:
        """Draws region, flip, places of the tiles, dropped channels and the photometric program.

        Args:
            shape: Height and width of the image in pixels.
            rng: Generator of all random draws.
            previous: Draw of the previous view in ``views``; not used here.
        """
        height, width = shape
        if self.min_scale is not None:
            box = draw_crop(rng.random, height, width, (self.min_scale, 1.0), _RATIO)
        else:
            side = max(self.grid, round(min(shape) * self.crop / self.resize))
            box = (int(rng.random() * (height - side + 1)), int(rng.random() * (width - side + 1)), side, side)
        flipped = bool(rng.random() < self.flip)
        number = self.grid**2
        offsets = rng.integers(0, self.max_offset + 1, (2, number, 1))
        offsets = offsets + rng.integers(0, self.channel_jitter + 1, (2, number, 3))
        kept = np.where(rng.random(number) < self.drop_channels, rng.integers(0, 3, number), -1)
        program = self.colors.draw_program(rng.random)
        return DrawnTiles(
            box, flipped, torch.from_numpy(offsets), tuple(kept.tolist()), int(rng.integers(2**31)), program
        )

    def render(self, image: np.ndarray, drawn: DrawnTiles) -> Tensor:
        """Returns the mosaic of ``image``, uint8 (H, W, 3), for the draw: uint8 (3, size, size)."""
        top, left, height, width = drawn.box
        region = resize(image[top : top + height, left : left + width], self.crop, self.crop, 'bilinear')
        tiles = cut_tiles(region.flip(2) if drawn.flipped else region, drawn.offsets, self.tile)
        noise = np.random.default_rng(drawn.seed)
        for tile, kept in zip(tiles, drawn.kept):
            if kept >= 0:
                _drop_channels(tile, kept, noise)
        rows = tiles.unflatten(0, (self.grid, self.grid)).permute(2, 0, 3, 1, 4)  # (3, G, S, G, S)
        return rows.reshape(3, self.size, self.size)


def _drop_channels(tile: Tensor, kept: int, noise: np.random.Generator) -> None:
    """Replaces the channels of a uint8 tile (3, S, S) but ``kept`` by noise around their mean, in place."""
    spread = _NOISE * tile[kept].float().std().item()
    for channel in {0, 1, 2} - {kept}:
        values = _MEAN[channel] + spread * noise.standard_normal(tile.shape[1:])
        tile[channel] = torch.from_numpy(values.round().clip(0, 255)).to(torch.uint8)
