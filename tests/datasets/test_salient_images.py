from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmssl.datasets.saliency import spectral_residual
from mmssl.datasets.salient_images import SalientImages
from mmssl.datasets.transforms.salient_view import SalientView, bounding_box, draw_salient_crop
from mmssl.utils.errors import UserError

VIEW = dict(type='SalientView', size=16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images and the maps of five: a white square; the map of the last but one is empty."""
    rng = np.random.default_rng(0)
    for number in range(6):
        image, saliency = rng.integers(0, 90, (40, 50, 3), dtype=np.uint8), np.zeros((40, 50), np.uint8)
        image[10:22, 5:17] = 250
        saliency[10:22, 5:17] = 200 if number != 4 else 100
        for kind, pixels in (('images', image), ('maps', saliency)):
            (tmp_path / kind / 'a').mkdir(parents=True, exist_ok=True)
            if kind == 'images' or number != 5:
                Image.fromarray(pixels).save(tmp_path / kind / 'a' / f'{number}.png')
    return tmp_path


def _dataset(folder: Path, maps: bool = True, **options: object) -> SalientImages:
    source = dict(type='ImageFolder', data_root=str(folder / 'images'))
    return SalientImages(source, str(folder / 'maps') if maps else None, views=[VIEW, VIEW], **options)


def test_views_show_the_salient_part_and_tell_where_it_is(folder):
    dataset = _dataset(folder)
    for epoch in range(5):
        item = dataset[epoch, 1]
        masks = item['data_samples']['masks']
        assert masks.shape == (2, 16, 16) and masks.dtype == torch.uint8 and masks.sum(dim=(1, 2)).min() > 0
        for view, mask in zip(item['inputs'], masks):
            inner = torch.from_numpy(cv2.erode(mask.numpy(), np.ones((3, 3), np.uint8))) > 0
            assert not inner.any() or view.float().mean(0)[inner].min() > 150  # the square is white
    assert torch.equal(dataset[2, 3]['data_samples']['masks'], _dataset(folder)[2, 3]['data_samples']['masks'])


def test_images_without_a_map_or_with_an_empty_one_are_replaced_and_reported(folder):
    dataset = _dataset(folder)
    for index, reason in ((4, 'has no value above 128'), (5, 'it has no saliency map')):
        item = dataset[index]
        assert item['data_samples']['index'] < 4 and reason in item['skipped'][0]
    plain = dataset.with_transform(dict(type='CenterCropView', resize=20, size=16))
    assert plain[5]['data_samples'] == dict(index=5, label=-1) and plain[5]['skipped'] == []


def test_an_image_is_never_its_own_map(folder):
    """A path that is not relative to one folder would lead out of the folder of maps, back to the image."""
    source = dict(type='ImageFolder', data_root=[str(folder / 'images' / 'a'), str(folder / 'maps')])
    with pytest.raises(UserError, match='has no place below maps: use one dataset of files'):
        SalientImages(source, str(folder / 'maps'), views=[VIEW])


def test_other_views_are_refused(folder):
    source = dict(type='ImageFolder', data_root=str(folder / 'images'))
    with pytest.raises(UserError, match='got AugmentedView'):
        SalientImages(source, views=[VIEW, dict(type='AugmentedView', size=16)])


def test_a_folder_that_does_not_exist(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match='set maps to the folder of the saliency maps, or to None'):
        SalientImages(dict(type='ImageFolder', data_root=str(folder / 'images')), str(tmp_path / 'no'), views=[VIEW])


def test_a_folder_with_the_maps_of_other_images_is_found_at_the_start(folder):
    source = dict(type='ImageFolder', data_root=str(folder / 'images'))
    with pytest.raises(FileNotFoundError, match='has no saliency map for any of 6 images: a/0.png needs .*a/a/0.png'):
        SalientImages(source, str(folder / 'maps' / 'a'), views=[VIEW])


def test_maps_need_images_below_one_folder(folder):
    source = dict(type='ConcatDataset', datasets=[dict(type='ImageFolder', data_root=str(folder / 'images'))] * 2)
    with pytest.raises(UserError, match=f'the image {folder}/images/.* has no place below maps'):
        SalientImages(source, maps=str(folder / 'maps'), views=[dict(type='SalientView', size=8)])


def test_the_estimator_finds_what_is_distinct(folder):
    mask = _dataset(folder, maps=False).mask(0)
    square = np.zeros_like(mask)
    square[10:22, 5:17] = True
    assert mask[square].mean() > 0.3 and mask[~square].mean() < 0.2
    assert spectral_residual(np.full((8, 9, 3), 7, np.uint8)).all()
    assert spectral_residual(np.zeros((1, 1, 3), np.uint8)).all()


def test_crops_show_enough_of_a_small_mask_and_of_a_large_one():
    rng = np.random.default_rng(0)
    small = np.zeros((60, 80), dtype=bool)
    small[3:6, 70:76] = True
    for mask in (small, np.ones((60, 80), dtype=bool), np.eye(60, 80, dtype=bool)):
        for _ in range(50):
            x0, y0, x1, y1 = draw_salient_crop(mask, rng, (0.2, 1.0), (3 / 4, 4 / 3), 0.2)
            assert 0 <= x0 < x1 <= 80 and 0 <= y0 < y1 <= 60
            assert mask[y0:y1, x0:x1].sum() >= min(0.2, 0.2 * 4800 / mask.sum()) * mask.sum() - 1e-9
    assert bounding_box(small) == (70, 3, 76, 6)


def test_the_view_needs_masks():
    with pytest.raises(UserError, match="dict\\(type='SalientImages'"):
        SalientView(16).draw((20, 20), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r'min_cover must lie in \[0, 1\], got 2'):
        SalientView(16, min_cover=2)
    with pytest.raises(ValueError, match='SalientView takes no crop: it draws crops around what is salient'):
        SalientView(16, crop='clamped')


def test_the_value_range_reaches_the_images(tmp_path):
    pixels = np.zeros((32, 32), np.uint16)
    pixels[8:20, 8:20] = 4095
    cv2.imwrite(str(tmp_path / '0.png'), pixels)
    source = dict(type='ImageFolder', data_root=str(tmp_path))
    dataset = SalientImages(source, transform=dict(type='CenterCropView', size=32), value_range=(0, 4095))
    assert dataset.load(0).max() == 255
