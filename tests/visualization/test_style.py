"""What figures share: even choices, pixels."""

import numpy as np
import pytest

from mmssl.visualization.style import figure_pixels, new_figure, spread


@pytest.mark.parametrize(
    ('size', 'count', 'expected'), [(10, 2, [2, 7]), (3, 8, [0, 1, 2]), (5, 1, [2]), (0, 3, []), (4, 0, [])]
)
def test_spread(size: int, count: int, expected: list[int]) -> None:
    assert spread(size, count).tolist() == expected


def test_pixels_of_a_figure() -> None:
    figure = new_figure(2, 1)
    figure.set_facecolor((1, 0.2, 0))
    pixels = figure_pixels(figure)
    assert pixels.shape == (110, 220, 3) and pixels.dtype == np.uint8
    assert (pixels == [255, 51, 0]).all()
