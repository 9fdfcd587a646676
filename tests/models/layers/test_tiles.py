"""Tiles: their order, and which of them are neighbours."""

from __future__ import annotations

import pytest
import torch

from mmssl.models.layers.tiles import NEIGHBOURS, join_tiles, neighbour_pairs, split_mosaic


def test_tiles_come_in_raster_order():
    mosaic = torch.arange(9).view(3, 3).repeat_interleave(2, 0).repeat_interleave(2, 1)[None, None]
    tiles = split_mosaic(mosaic)
    assert tiles.shape == (1, 9, 1, 2, 2)
    assert tiles[0, :, 0, 0, 0].tolist() == list(range(9)) and (tiles == tiles[..., :1, :1]).all()
    assert torch.equal(join_tiles(tiles), mosaic)
    lines = join_tiles(tiles, gap=1)[0, 0]
    assert lines.shape == (8, 8) and lines[2].tolist() == [8] * 8 and lines[0].tolist() == [0, 0, 8, 1, 1, 8, 2, 2]
    with pytest.raises(ValueError, match='does not consist of 3 x 3 tiles'):
        split_mosaic(torch.zeros(1, 3, 8, 8))


def test_each_pair_of_neighbours_has_the_class_of_its_direction():
    pairs, labels = neighbour_pairs()
    assert len(pairs) == len(set(pairs)) == 40
    assert [labels[pairs.index((4, tile))] for tile in (0, 1, 2, 3, 5, 6, 7, 8)] == list(range(8))
    for (first, second), label in zip(pairs, labels):
        assert labels[pairs.index((second, first))] == len(NEIGHBOURS) - 1 - label
