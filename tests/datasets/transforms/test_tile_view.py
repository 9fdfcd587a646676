"""TileView: where tiles come from, and that they tell their place by nothing but their content."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mmssl.datasets.transforms.photometric_program import CODES
from mmssl.datasets.transforms.tile_view import TileView, cut_tiles
from mmssl.models.layers.tiles import split_mosaic


def coordinates(size: int) -> np.ndarray:
    """An image whose red and green channels are row and column."""
    rows, columns = np.mgrid[:size, :size]
    return np.stack([rows, columns, np.full_like(rows, 7)], axis=-1).astype(np.uint8)


def tiles_of(view: TileView, image: np.ndarray, seed: int = 0) -> torch.Tensor:
    drawn = view.draw(image.shape[:2], np.random.default_rng(seed))
    return split_mosaic(view.render(image, drawn)[None].int(), view.grid)[0]


def test_each_tile_lies_in_its_cell_and_moves_within_it():
    view, places = TileView(size=18, crop=30), set()
    for seed in range(40):
        tiles = tiles_of(view, coordinates(30), seed)
        for index, tile in enumerate(tiles):
            top, left = tile[:2, 0, 0].tolist()
            assert tile[0, -1, 0] - top == tile[1, 0, -1] - left == 5  # six pixels, not resized
            down, right = top - 10 * (index // 3), left - 10 * (index % 3)
            assert 0 <= down <= 4 and 0 <= right <= 4
            places.add((down, right))
    assert places == {(down, right) for down in range(5) for right in range(5)}


def test_region_scale_and_flip():
    region = tiles_of(TileView(size=30, crop=30, resize=40), coordinates(80))[:, :2]
    assert 55 <= region[8, 0, -1, -1] - region[0, 0, 0, 0] <= 61  # 30 of 40 is 60 of 80 pixels
    flipped = tiles_of(TileView(size=30, crop=30, flip=1.0), coordinates(30))
    assert flipped[0, 1, 0].tolist() == list(range(29, 19, -1))


def test_channels_move_apart_by_the_jitter_and_stay_in_the_image():
    seen = set()
    for seed in range(30):
        for index, tile in enumerate(tiles_of(TileView(size=24, crop=24, channel_jitter=2), coordinates(24), seed)):
            seen.add((index, int(tile[0, 0, 0]) - 8 * (index // 3), int(tile[1, 0, 0]) - 8 * (index % 3)))
    assert {place[1] for place in seen if place[0] == 0} == {0, 1, 2}
    assert {place[1:] for place in seen if place[0] == 8} == {(0, 0)}  # the last cell ends with the image


def test_dropped_channels_are_noise_around_the_mean():
    image = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    kept = [0, 0, 0]
    for seed in range(10):
        for tile in tiles_of(TileView(size=30, crop=30, drop_channels=1.0), image, seed).float():
            lively = (tile.flatten(1).std(dim=1) > 20).tolist()
            assert sum(lively) == 1
            kept[lively.index(True)] += 1
            mean = torch.tensor([123.675, 116.28, 103.53])
            assert ((tile.flatten(1).mean(dim=1) - mean).abs() < 1)[~torch.tensor(lively)].all()
    assert min(kept) > 10


def test_colours_are_those_of_the_photometric_program():
    view = TileView(size=30, crop=30, photometric=dict(grayscale=1.0))
    program = view.draw((30, 30), np.random.default_rng(0)).program
    assert program[0, 0] == CODES['grayscale'] and (program[1:] == 0).all()


def test_each_tile_drops_its_channels_by_itself():
    view = TileView(size=24, crop=30, drop_channels=0.5)
    kept = [view.draw((40, 40), np.random.default_rng(seed)).kept for seed in range(20)]
    assert all(0 < sum(channel >= 0 for channel in tiles) < 9 for tiles in kept)


def test_a_draw_depends_on_the_generator_alone():
    view, image = TileView(size=24, crop=30, drop_channels=0.5), coordinates(40)
    assert_close(tiles_of(view, image, 3), tiles_of(view, image, 3), rtol=0, atol=0)
    assert not torch.equal(tiles_of(view, image, 3), tiles_of(view, image, 4))


def test_positions_beyond_the_region_are_moved_to_its_border():
    region = torch.arange(36.0).view(1, 6, 6)
    tiles = cut_tiles(region, torch.full((2, 4, 1), 2), 2)
    assert tiles[3].tolist() == [[[28, 29], [34, 35]]]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(size=32, crop=60), 'multiple of the 3 tiles'),
        (dict(size=48, crop=45), 'tiles of 16 pixels leave -1'),
        (dict(size=48, crop=60, max_offset=5), 'max_offset must lie in 0 to 4, got 5'),
        (dict(size=48, crop=60, resize=50), 'resize >= crop=60'),
        (dict(size=48, crop=60, resize=70, min_scale=0.5), 'resize or min_scale, not both, got 70 and 0.5'),
        (dict(size=48, crop=60, flip=2), 'probabilities'),
        (dict(size=48, crop=60, photometric=dict(flip=0.5, crop=9)), 'crop, flip would have no effect there'),
    ],
)
def test_numbers_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        TileView(**options)
