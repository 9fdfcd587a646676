"""augmented_views: the pixels shown are those of the bytes after augmentation."""

from pathlib import Path

import numpy as np
import pytest

from mmssl.datasets.image_folder import ImageFolder
from mmssl.models.algorithms.rotnet import RotNet
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.visualization.augmented_views import augmented_views
from tests.support.image_files import write_images


@pytest.mark.parametrize('small', [8, 4])
def test_rows_are_the_image_and_its_views(small: int, tmp_path: Path) -> None:
    write_images(tmp_path, [f'{i}.png' for i in range(3)])
    views = [
        dict(type='AugmentedView', size=8, solarize=1.0, solarize_threshold=0),  # inverts everything
        dict(type='AugmentedView', size=small),
    ]
    figure = augmented_views(ImageFolder(str(tmp_path), views=views), SelfSupDataPreprocessor(), [0, 1, 2])
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    expected = [0, 10, 20, 255, 245, 235, 0, 10, 20]
    assert [image.shape for image in shown] == [(8, 8, 3)] * 9
    np.testing.assert_allclose([image.mean() for image in shown], np.array(expected) / 255, atol=1e-6)


def test_what_a_method_shows_its_network_takes_the_place_of_the_views(tmp_path: Path) -> None:
    write_images(tmp_path, ['0.png'])
    dataset = ImageFolder(str(tmp_path), views=[dict(type='AugmentedView', size=8)])
    figure = augmented_views(dataset, SelfSupDataPreprocessor(), [0], shown=RotNet.shown_views)
    _, first, *others = (axes.get_images()[0].get_array() for axes in figure.axes)
    assert len(others) == 3
    for quarters, image in enumerate(others, 1):
        np.testing.assert_array_equal(image, np.rot90(first, quarters))


def test_bands_are_drawn_as_the_preprocessor_shows_them(tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', np.full((8, 8, 5), [0, 1000, 2000, 3000, 4000], np.uint16))
    views = [dict(type='AugmentedView', size=8, flip=0.0)]
    dataset = ImageFolder(str(tmp_path), views=views, bands=5, value_range=(0, 4000))
    preprocessor = SelfSupDataPreprocessor([100.0] * 5, [50.0] * 5, shown=(4, 2, 0))
    figure = augmented_views(dataset, preprocessor, [0])
    for cell in figure.axes:
        assert np.allclose(cell.get_images()[0].get_array()[0, 0], [1, 0.5, 0], atol=0.01)
