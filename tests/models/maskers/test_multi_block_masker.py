"""Blocks of I-JEPA: disjoint, of one size per step, and what happens on small grids."""

from __future__ import annotations

import random

import pytest
import torch

from mmssl.models.maskers.multi_block_masker import MultiBlockMasker, place_block
from mmssl.utils.errors import UserError

IMAGES = torch.zeros(4, 3, 224, 224)


def test_context_and_targets_are_disjoint_and_of_one_size():
    random.seed(0)
    for step in range(20):
        context, targets = MultiBlockMasker()(IMAGES, step)
        assert context.shape[0] == 4 and context.shape[1] >= 11 and targets.shape[:2] == (4, 4)
        assert 0.1 * 196 < targets.shape[2] < 0.25 * 196
        for image in range(4):
            assert not set(context[image].tolist()) & set(targets[image].flatten().tolist())


def test_sizes_follow_the_step_and_places_the_random_state():
    masker, sizes = MultiBlockMasker(), set()
    for step in range(8):
        random.seed(1)
        first = masker(IMAGES, step)
        random.seed(1)
        assert all(torch.equal(a, b) for a, b in zip(masker(IMAGES, step), first))
        random.seed(2)
        other = masker(IMAGES, step)
        assert other[1].shape == first[1].shape and not torch.equal(other[1], first[1])
        sizes.add(first[1].shape[2])
    assert len(sizes) > 1


def test_published_sizes_of_the_blocks():
    """A target has 15 to 20 % of the patches and an aspect ratio of 0.75 to 1.5, the context 85 to 100 %."""
    sizes = [MultiBlockMasker().block_sizes((14, 14), random.Random(seed)) for seed in range(50)]
    assert {context for _, context in sizes} == {(13, 13)}
    targets = {target for target, _ in sizes}
    assert {(5, 6), (7, 5)} <= targets and all(26 <= rows * columns <= 42 for rows, columns in targets)


def test_a_context_that_does_not_fit_ignores_the_last_target_first():
    rng, everything = random.Random(0), torch.ones(6, 6, dtype=torch.bool).numpy()
    left = everything.copy()
    left[:, :3] = False  # the left half is not taken
    block = place_block(rng, (6, 6), (5, 5), [left, everything], min_patches=4)
    assert not (block & left).any() and block.sum() >= 4


def test_a_grid_without_room_is_refused():
    with pytest.raises(UserError, match=r'context block of 3 x 3 patches.*set model.masker.min_context lower'):
        MultiBlockMasker()(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    'options', [dict(target_scale=(0.3, 0.2)), dict(context_scale=(0.5, 1.5)), dict(target_aspect=(0, 1)),
                dict(num_targets=0), dict(min_context=0)],
)  # fmt: skip
def test_wrong_numbers_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MultiBlockMasker(**options)


def test_a_context_that_is_too_small_at_some_step_is_refused_at_the_first():
    with pytest.raises(UserError, match=r'context block of 3 x 3 patches'):
        MultiBlockMasker(context_scale=(0.3, 1.0), patch_size=8)(torch.zeros(1, 3, 48, 48), step=0)


def test_a_single_row_of_patches_is_refused():
    with pytest.raises(UserError, match='blocks need at least 2 x 2 patches, and an image has 1 x 400'):
        MultiBlockMasker(patch_size=8)(torch.zeros(1, 3, 8, 3200))
