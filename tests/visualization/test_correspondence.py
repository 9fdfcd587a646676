"""Correspondence of two views: what is right is judged by the crops."""

from __future__ import annotations

import torch

from mmssl.datasets.image_folder import ImageFolder
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.visualization.correspondence import correct_matches, correspondence_figure
from mmssl.visualization.region_windows import window_figure
from mmssl.visualization.style import figure_pixels
from mmssl.visualization.view_pairs import drawn_crops
from tests.models.algorithms.test_densecl import _densecl
from tests.models.algorithms.test_resim import _resim
from tests.support.image_files import write_images
from tests.support.tiny_run import NoiseImages

VIEW = dict(type='AugmentedView', size=16)


def test_matches_of_equal_crops_are_right_where_they_are_the_identity():
    crops = torch.tensor([[[3.0, 5, 20, 10, 0]] * 2])
    matches = torch.arange(16)[None].clone()
    shared, correct = correct_matches(matches, crops, (4, 4))
    assert shared.all() and correct.all()
    matches[0, :4] = torch.tensor([1, 3, 2, 2])  # one off, two off, right, one off
    assert correct_matches(matches, crops, (4, 4))[1][0, :4].tolist() == [True, False, True, True]
    crops[0, 1, 4] = 1  # the second view is flipped: position 0 belongs to position 3
    assert correct_matches(torch.arange(16)[None], crops, (4, 4))[1][0, :4].tolist() == [False, True, True, False]


def test_crops_that_do_not_overlap_share_no_place():
    crops = torch.tensor([[[0.0, 0, 10, 10, 0], [10.0, 0, 10, 10, 0]]])
    shared, correct = correct_matches(torch.zeros(1, 16, dtype=torch.long), crops, (4, 4))
    assert not shared.any() and not correct.any()


def test_the_figure_draws_the_views_of_the_dataset():
    dataset = NoiseImages(num_images=5, views=[VIEW, VIEW])
    crops = drawn_crops(dataset, [0, 3], epoch=2)
    assert crops.shape == (2, 2, 5) and not torch.equal(crops[0], crops[1])
    algorithm = _densecl().float()
    algorithm.data_preprocessor = SelfSupDataPreprocessor()
    pixels = figure_pixels(correspondence_figure(algorithm, dataset, [0, 3, 4]))
    assert pixels.std() > 10


def test_the_crops_are_those_of_the_image_that_replaces_an_unreadable_one(tmp_path):
    write_images(tmp_path, [f'{number}.png' for number in range(4)])
    (tmp_path / '1.png').write_bytes(b'no image')
    dataset = ImageFolder(str(tmp_path), views=[dict(VIEW, type='AlignedView')] * 2, seed=0)
    crops = drawn_crops(dataset, [1, 2], epoch=3)
    assert torch.equal(crops, torch.stack([dataset[3, index]['data_samples']['crops'] for index in (1, 2)]))


def test_windows_are_drawn_in_both_views():
    view = dict(type='AlignedView', size=16, min_scale=0.8)
    dataset = NoiseImages(num_images=5, views=[view, view])
    algorithm = _resim()
    algorithm.data_preprocessor = SelfSupDataPreprocessor()
    figure = window_figure(algorithm, dataset, [0, 3, 4])
    frames = [len(cell.patches) for cell in figure.axes if cell.images]
    assert len(frames) == 3 and max(frames) >= 2 and all(number % 2 == 0 for number in frames)
