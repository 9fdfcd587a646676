"""Patches of visual words."""

import numpy as np
import torch

from mmssl.visualization.word_sheet import word_patches, word_sheet


class Greys(list):
    """Image i has the grey value 10 i everywhere."""

    def __init__(self, number: int) -> None:
        super().__init__(dict(inputs=torch.full((3, 8, 8), 10 * index, dtype=torch.uint8)) for index in range(number))


def test_missing_patches_are_white() -> None:
    patches = word_patches(Greys(3), [0, 1, 2], np.ones((3, 4), bool), np.full((3, 4), [[3], [1], [2]]), 0, 5)
    assert patches.shape == (5, 3, 16, 16)
    assert patches[:, 0, 8, 8].tolist() == [10, 20, 0, 255, 255]  # the nearest first


def test_a_sheet_of_fewer_images_than_columns() -> None:
    sheet = word_sheet(Greys(2), [0, 1], np.array([[0, 0, 0, 1]] * 2), np.ones((2, 4)), num_words=2, num_patches=4)
    assert len([axes for axes in sheet.axes if axes.images]) == 4
