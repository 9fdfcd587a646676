"""The view of methods that encode the tiles of an image in an order that tells nothing."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmssl.datasets.transforms.tile_view import DrawnTiles, TileView
from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ShuffledTileView(TileView):
    """A ``TileView`` whose tiles stand in the mosaic in a random order, drawn for each image (DetCo's local patches).

    DetCo: ``size=192, crop=255, min_scale=0.6, flip=0.5, photometric=dict(jitter=(.4, .4, .4, .1), grayscale=0.2,
    blur=0.5)``. The arguments are those of ``TileView``.
    """

    kind = 'shuffled tiles'

    def order(self, drawn: DrawnTiles) -> list[int]:
        """Returns the tile, in raster order of the region, that stands at each place of the mosaic."""
        return np.random.default_rng((drawn.seed, 1)).permutation(self.grid**2).tolist()

    def render(self, image: np.ndarray, drawn: DrawnTiles) -> Tensor:
        """Returns the mosaic of ``image``, uint8 (H, W, 3), for the draw: uint8 (3, size, size)."""
        mosaic = super().render(image, drawn).unflatten(2, (self.grid, self.tile)).unflatten(1, (self.grid, self.tile))
        tiles = mosaic.permute(1, 3, 0, 2, 4).flatten(0, 1)[self.order(drawn)]  # (G * G, 3, S, S)
        return tiles.unflatten(0, (self.grid, self.grid)).permute(2, 0, 3, 1, 4).reshape(3, self.size, self.size)
