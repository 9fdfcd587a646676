"""Uniform masks: counts, uniformity, and the positions derived from them."""

from __future__ import annotations

import pytest
import torch

from mmssl.models.maskers.bernoulli_masker import BernoulliMasker
from mmssl.models.maskers.blockwise_masker import BlockwiseMasker
from mmssl.models.maskers.masker import Masker
from mmssl.models.maskers.ratio_masker import RatioMasker
from mmssl.models.maskers.stratified_masker import StratifiedMasker
from mmssl.models.maskers.uniform_masker import UniformMasker, uniform_mask


@pytest.mark.parametrize(('side', 'patch_size', 'hidden'), [(224, 16, 147), (224, 14, 192), (32, 4, 48), (30, 4, 48)])
def test_the_same_share_of_every_image_is_hidden(side, patch_size, hidden):
    masker = UniformMasker(0.75, patch_size)
    mask = masker(torch.zeros(3, 3, side, side))
    assert mask.dtype == torch.bool and mask.shape[1] == masker.num_hidden(mask.shape[1]) + mask.shape[1] - hidden
    assert mask.sum(dim=1).tolist() == [hidden] * 3


def test_every_patch_is_hidden_equally_often_and_images_differ():
    mask = UniformMasker(0.75, 8)(torch.zeros(4000, 3, 32, 32))
    assert (mask.double().mean(dim=0) - 0.75).abs().max() < 0.03  # four standard deviations
    pairs = (mask[:, 0] & mask[:, 1]).double().mean()
    assert abs(pairs - 12 / 16 * 11 / 15) < 0.03
    assert not torch.equal(mask[0], mask[1])


def test_the_largest_noise_is_hidden():
    noise = torch.tensor([[0.3, 0.1, 0.4, 0.2]])
    assert uniform_mask(noise, 2).tolist() == [[True, False, True, False]]
    assert not uniform_mask(noise, 0).any()


def test_positions_are_those_of_the_mask_in_ascending_order():
    masker = UniformMasker(0.6, 4)
    mask = masker(torch.zeros(5, 3, 32, 24))
    keep, hidden = masker.visible(mask), masker.hidden(mask)
    for row in range(5):
        assert keep[row].tolist() == (~mask[row]).nonzero().squeeze(1).tolist()
        assert hidden[row].tolist() == mask[row].nonzero().squeeze(1).tolist()


def test_positions_of_a_varying_number_are_filled_up():
    class Some(Masker):
        def num_hidden(self, num_patches: int) -> int:
            return 2

    mask = torch.tensor([[True, False, True, False], [False, True, False, False]])
    assert Some(1).hidden(mask).tolist() == [[0, 2], [1, 0]]
    assert Some(1).visible(mask).tolist() == [[1, 3], [0, 2]]
    assert mask.gather(1, Some(1).hidden(mask)).tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize('masker', [BernoulliMasker(), BlockwiseMasker(8), RatioMasker(), StratifiedMasker()])
def test_a_varying_number_of_visible_patches_is_refused(masker):
    with pytest.raises(ValueError, match=f'that {type(masker).__name__} hides varies'):
        masker.visible(torch.zeros(2, 16, dtype=torch.bool))
    assert BlockwiseMasker(8, exact=True).visible(torch.zeros(2, 16, dtype=torch.bool)).shape == (2, 8)


@pytest.mark.parametrize('ratio', [-0.1, 0.0, 1.0])
def test_ratio_is_a_share(ratio):
    with pytest.raises(ValueError, match=r'share of hidden patches, must lie in \(0, 1\)'):
        UniformMasker(ratio)


def test_an_abstract_masker_says_what_is_missing():
    with pytest.raises(NotImplementedError, match=r'Masker does not define forward\(\)'):
        Masker(16)(torch.zeros(1, 3, 16, 16))
