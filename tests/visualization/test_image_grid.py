"""Image grids: each image in its place, frames by mark."""

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba

from mmssl.visualization.image_grid import image_grid
from mmssl.visualization.style import BAD, GOOD


def test_images_labels_and_frames_are_in_their_places() -> None:
    rows = torch.arange(6, dtype=torch.uint8).view(2, 3, 1, 1, 1).expand(2, 3, 3, 4, 4) * 40
    marks = torch.tensor([[-1, 1, 0], [-1, 0, 1]])
    figure = image_grid(rows, ['query', 'near', ''], labels=['cat', 'dog'], marks=marks, gaps=(1,))
    cells = [axes for axes in figure.axes if axes.images]
    shown = [axes.images[0].get_array()[0, 0, 0] for axes in cells]
    assert shown == pytest.approx([value * 40 / 255 for value in range(6)])
    assert [axes.get_title() for axes in cells[:3]] == ['query', 'near', '']
    assert [cells[0].get_ylabel(), cells[3].get_ylabel()] == ['cat', 'dog']
    frames = [axes.spines['left'].get_edgecolor() for axes in cells]
    assert [frame == to_rgba(GOOD) for frame in frames] == [False, True, False, False, False, True]
    assert [frame == to_rgba(BAD) for frame in frames] == [False, False, True, False, True, False]


def test_floats_are_shown_as_they_are_within_zero_and_one() -> None:
    figure = image_grid(torch.tensor([-1.0, 0.25, 2.0]).view(1, 3, 1, 1, 1).expand(1, 3, 3, 2, 2), [''] * 3)
    assert [axes.images[0].get_array()[0, 0, 0] for axes in figure.axes] == [0, 0.25, 1]


def test_long_titles_stay_within_the_figure_and_their_column() -> None:
    titles = ['image', 'epoch_200 of a long run\nrollout of the attention', 'a_name_without_any_blank_that_goes_on']
    figure = image_grid(torch.zeros(1, 3, 3, 8, 8), titles, side=1.4)
    FigureCanvasAgg(figure).draw()
    width, height = figure.bbox.width, figure.bbox.height
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert all(box.x0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    assert all(left.x1 <= right.x0 for left, right in zip(boxes, boxes[1:]))
