from __future__ import annotations

import torch

from tests.support.tiny_run import NoiseImages

VIEW = dict(type='AlignedView', size=16)


def test_views_of_an_image_are_flipped_together_and_tell_their_crops():
    dataset = NoiseImages(num_images=24, views=[VIEW, VIEW], seed=1)
    crops = torch.stack([dataset[0, index]['data_samples']['crops'] for index in range(24)])
    assert crops.shape == (24, 2, 5) and crops.dtype == torch.float32
    assert torch.equal(crops[:, 0, 4], crops[:, 1, 4]) and 4 < crops[:, 0, 4].sum() < 20
    assert not torch.equal(crops[:, 0, :4], crops[:, 1, :4])


def test_a_crop_is_what_the_view_shows():
    dataset = NoiseImages(num_images=3, views=[dict(VIEW, flip=1.0, min_scale=0.9), VIEW])
    (item,) = [dataset[2, 1]]
    left, top, width, height, flipped = item['data_samples']['crops'][0].int().tolist()
    crop = torch.from_numpy(dataset.load(1)[top : top + height, left : left + width]).permute(2, 0, 1).flip(2)
    assert flipped == 1 and abs(crop.float().mean() - item['inputs'][0].float().mean()) < 2


def test_other_views_add_nothing():
    dataset = NoiseImages(num_images=3, views=[dict(type='AugmentedView', size=16)] * 2)
    assert 'crops' not in dataset[0]['data_samples']
