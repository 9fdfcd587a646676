from __future__ import annotations

import numpy as np
import torch

from mmssl.datasets.transforms.shuffled_tile_view import ShuffledTileView
from mmssl.datasets.transforms.tile_view import TileView
from mmssl.models.layers.tiles import split_mosaic

OPTIONS = dict(size=24, crop=36, min_scale=0.6, flip=0.5)
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def test_the_tiles_are_those_of_a_tile_view_in_another_order_for_each_draw():
    view, plain = ShuffledTileView(**OPTIONS), TileView(**OPTIONS)
    orders = set()
    for seed in range(20):
        drawn = view.draw(IMAGE.shape[:2], np.random.default_rng(seed))
        tiles, expected = (split_mosaic(v.render(IMAGE, drawn)[None])[0] for v in (view, plain))
        assert torch.equal(tiles, expected[view.order(drawn)])
        orders.add(tuple(view.order(drawn)))
        assert sorted(view.order(drawn)) == list(range(9))
    assert len(orders) == 20
