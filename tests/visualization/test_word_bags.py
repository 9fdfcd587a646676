"""Figures of bags of visual words: the words of an image, their places, and patches that show them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from matplotlib.colors import to_rgb
from torch import Tensor

from mmssl.visualization.style import LINES
from mmssl.visualization.word_bags import word_bag_figure


class Shades:
    """Images of one shade each, 0, 10, 20 and so on."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.full((3, 8, 8), 10 * index, dtype=torch.uint8))


class Tens:
    """A target whose words are the tens of the pixels, on a map with half the positions and without a border."""

    border = 1

    def nearest_words(self, images: Tensor) -> tuple[Tensor, Tensor]:
        shown = images[:, 0, 2:-2:2, 2:-2:2]
        return shown.long() // 10, shown % 10


def test_a_row_for_each_word_with_the_patches_nearest_to_it() -> None:
    image = torch.full((1, 3, 8, 8), 20, dtype=torch.uint8)
    image[..., :4, :4] = 30  # one position of four
    algorithm = SimpleNamespace(target=Tens(), data_preprocessor=lambda data, training: data)
    figure = word_bag_figure(algorithm, image, Shades(), num_words=3, num_patches=2)
    cells = figure.subfigs[0].axes
    picture, places, first, *patches = cells
    assert picture.images[0].get_array().max() == 30 and first.texts[0].get_text() == 'word 2\n3 of 4'
    assert patches[2].texts[0].get_text() == 'word 3\n1 of 4' and len(cells) == 8  # there is no third word
    shown = [
        int(cell.images[0].get_array()[3, 3, 0]) for cell in cells if cell not in (picture, places) and cell.images
    ]
    assert shown == [20, 255, 30, 255]  # no second image has the word
    colours = places.images[1].get_array()
    assert places.images[1].get_extent() == [2, 6, 6, 2]
    assert np.allclose(colours[0, 0, :3], to_rgb(LINES[1])) and np.allclose(colours[1, 1, :3], to_rgb(LINES[0]))
