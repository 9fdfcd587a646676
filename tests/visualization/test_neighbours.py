"""The neighbour sheet: the right images in the right places, framed by class."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from mmssl.evaluation.extract import Features
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.visualization.neighbours import neighbour_sheet
from mmssl.visualization.style import BAD, FAINT, GOOD


class Shades:
    """Image i has the grey value ``start + 10 i``."""

    def __init__(self, start: int, classes: tuple[str, ...] | None = ('even', 'odd')) -> None:
        self.start, self.classes = start, classes

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.full((3, 4, 4), self.start + 10 * index, dtype=torch.uint8))


def features(vectors: list[list[float]], labels: list[int], indices: list[int]) -> Features:
    return Features(torch.tensor(vectors), torch.tensor(labels), torch.tensor(indices))


def test_neighbours_of_each_representation_with_frames() -> None:
    queries = features([[1.0, 0.0], [0.0, 1.0]], [0, -1], [3, 5])
    bank = features([[1.0, 0.1], [0.1, 1.0], [1.0, 0.0]], [1, 1, 0], [7, 8, 9])
    turned = features([[0.1, 1.0], [1.0, 0.1], [0.0, 1.0]], [1, 1, 0], [7, 8, 9])
    sheet = neighbour_sheet(Shades(0), Shades(100), {'one': (bank, queries), 'two': (turned, queries)}, 2, k=2)
    cells = [axes for axes in sheet.axes if axes.images]
    shown = [int(np.round(axes.images[0].get_array()[0, 0, 0] * 255)) for axes in cells]
    assert shown == [30, 190, 170, 180, 170, 50, 180, 170, 190, 170]
    assert [axes.get_title() for axes in cells[:5]] == ['query', 'one', '', 'two', '']
    frames = [axes.spines['left'].get_edgecolor() for axes in cells]
    expected = [FAINT, GOOD, BAD, BAD, BAD, *[FAINT] * 5]  # the second query has no label
    assert frames == [to_rgba(colour) for colour in expected]
    assert [cells[0].get_ylabel(), cells[5].get_ylabel()] == ['even', '']


def test_fewer_images_than_asked_for_and_no_classes() -> None:
    one = features([[1.0]], [-1], [0])
    sheet = neighbour_sheet(Shades(0, None), Shades(0, None), {'': (one, one)}, num_queries=8, k=5)
    assert len([axes for axes in sheet.axes if axes.images]) == 2


def test_a_neighbour_without_a_label_has_no_frame() -> None:
    query, bank = features([[1.0, 0.0]], [0], [0]), features([[1.0, 0.0], [0.0, 1.0]], [-1, 1], [1, 2])
    sheet = neighbour_sheet(Shades(0), Shades(0), {'': (bank, query)}, 1, k=2)
    frames = [axes.spines['left'].get_edgecolor() for axes in sheet.axes if axes.images]
    assert frames == [to_rgba(colour) for colour in (FAINT, FAINT, BAD)]


def test_features_that_are_not_finite_have_no_neighbours() -> None:
    query, bank = features([[1.0, 0.0]], [0], [0]), features([[float('nan'), 0.0], [0.0, 1.0]], [0, 1], [1, 2])
    with pytest.raises(ValueError, match='1 of 2 embeddings of the bank are NaN'):
        neighbour_sheet(Shades(0), Shades(0), {'': (bank, query)}, 1, k=1)


class Bands(Shades):
    """Image i has the sample ``1000 i`` in the last of five bands and 0 in the others."""

    def __getitem__(self, index: int) -> dict:
        samples = torch.zeros(5, 4, 4)
        samples[-1] = 1000 * index
        return dict(inputs=samples.to(torch.uint16))


def test_bands_are_drawn_as_the_preprocessor_shows_them() -> None:
    one = features([[1.0, 0.0], [0.0, 1.0]], [0, 1], [20, 60])
    preprocessor = SelfSupDataPreprocessor([100.0] * 5, [50.0] * 5, shown=[4])
    sheet = neighbour_sheet(Bands(0), Bands(0), {'': (one, one)}, 2, 1, preprocessor.picture)
    cells = [axes.images[0].get_array()[0, 0] for axes in sheet.axes if axes.images]
    assert np.allclose(cells, np.repeat([20, 20, 60, 60], 3).reshape(4, 3) * 1000 / 65535, atol=0.003)
