"""Block-wise masks: counts, blocks, randomness."""

from __future__ import annotations

import random

import pytest
import torch

from mmssl.models.maskers.blockwise_masker import BlockwiseMasker, blockwise_mask


def test_counts_of_the_specification():
    random.seed(0)
    counts = BlockwiseMasker(75, 16)(torch.zeros(1000, 3, 224, 224)).sum(dim=1)
    assert counts.max() == 75 and counts.min() >= 55
    assert abs(counts.double().mean() - 74.5) < 0.3


def test_counts_of_maskfeat():
    random.seed(0)
    counts = BlockwiseMasker(78, 15)(torch.zeros(1000, 3, 224, 224)).sum(dim=1)
    assert counts.max() == 78 and counts.min() >= 60
    assert abs(counts.double().mean() - 77.5) < 0.3


def test_the_first_block_is_a_rectangle_within_the_bounds():
    rng = random.Random(3)
    for _ in range(200):
        mask = blockwise_mask(rng, (10, 12), num_hidden=1, min_block=1, max_block=1, min_aspect=0.3)
        assert mask.sum() <= 1
    for _ in range(200):
        # what is left after one block of at least 20 is less than the smallest block, so that there is one only
        mask = blockwise_mask(rng, (10, 12), num_hidden=21, min_block=20, min_aspect=0.5)
        cells = torch.from_numpy(mask)
        rows, columns = cells.any(dim=1).sum(), cells.any(dim=0).sum()
        if cells.sum() == rows * columns:
            assert 0.4 < rows / columns < 2.5
        assert cells.sum() <= 21


def test_pythons_random_alone_decides():
    masker, images = BlockwiseMasker(6, 2, patch_size=8), torch.zeros(4, 3, 32, 40)
    random.seed(1)
    torch.manual_seed(1)
    mask = masker(images)
    assert mask.shape == (4, 20) and mask.dtype == torch.bool
    random.seed(1)
    torch.manual_seed(2)
    assert torch.equal(masker(images), mask)
    assert not torch.equal(masker(images), mask)


def test_every_place_is_hidden_now_and_then():
    random.seed(0)
    share = BlockwiseMasker(6, 2, patch_size=8)(torch.zeros(2000, 3, 32, 40)).double().mean(dim=0)
    assert share.min() > 0.1 and share.max() < 0.6


def test_positions_are_filled_up_to_a_static_number():
    random.seed(0)
    masker = BlockwiseMasker(75, 16)
    mask = masker(torch.zeros(64, 3, 224, 224))
    hidden = masker.hidden(mask)
    assert hidden.shape == (64, 75) and mask.sum(dim=1).unique().numel() > 1
    assert torch.equal(mask.gather(1, hidden).sum(dim=1), mask.sum(dim=1))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_hidden=0), 'at least 1, got 0 and 16'),
        (dict(min_block=0), 'at least 1, got 75 and 0'),
        (dict(min_aspect=1.5), r'in \(0, 1\], got 1.5'),
        (dict(max_block=0), 'max_block must be at least min_block=16, or None for no bound, got 0'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        BlockwiseMasker(**options)


def test_images_with_too_few_patches():
    with pytest.raises(ValueError, match='num_hidden=75 must be less than the 2 x 2 patches'):
        BlockwiseMasker()(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize('exact', [True, False])
def test_blocks_that_never_fit_are_refused_instead_of_drawn_forever(exact):
    masker = BlockwiseMasker(num_hidden=14, min_block=13, patch_size=8, exact=exact)
    with pytest.raises(ValueError, match='no block of 13 patches fits into 4 x 4 patches: lower'):
        masker(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(('height', 'width'), [(8, 400), (16, 400), (400, 16)])
def test_a_narrow_image_into_which_no_block_fits_is_refused(height, width):
    masker = BlockwiseMasker(40, 16, patch_size=8, exact=True)  # would draw blocks for ever
    with pytest.raises(ValueError, match='no block of 16 patches fits into'):
        masker(torch.zeros(1, 3, height, width))
    lower = BlockwiseMasker(40, 4, patch_size=8, exact=True)
    if min(height, width) == 16:
        assert lower(torch.zeros(2, 3, height, width)).sum(dim=1).tolist() == [40, 40]


def test_blocks_may_be_squares():
    random.seed(0)
    masker = BlockwiseMasker(9, 4, min_aspect=1, patch_size=8, exact=True)
    assert masker(torch.zeros(4, 3, 32, 40)).sum(dim=1).tolist() == [9] * 4
