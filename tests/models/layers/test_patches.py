"""Patches in the order of the specification, selection and restoration as inverses."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.layers.patches import hide_patches, patchify, restore_patches, select_patches, unpatchify


def test_a_patch_is_row_column_channel():
    images = torch.sin(0.01 * torch.arange(6144, dtype=torch.float64)).reshape(2, 3, 32, 32)
    patches = patchify(images, 16)
    assert patches.shape == (2, 4, 768)
    expected = torch.tensor([0.159318, -0.827826, 0.975974, 0.169182, -0.833395, 0.973747], dtype=torch.float64)
    assert_close(patches[0, 1, :6], expected, rtol=0, atol=1e-6)
    assert torch.equal(patches[1, 2, 3 * (16 * 5 + 7) + 1], images[1, 1, 16 + 5, 7])


def test_patches_are_put_together_again():
    images = torch.randn(2, 3, 12, 20)
    assert torch.equal(unpatchify(patchify(images, 4), 4, (3, 5)), images)


def test_images_must_consist_of_patches():
    with pytest.raises(ValueError, match='multiples of patch_size=8, got 12 x 20'):
        patchify(torch.zeros(1, 3, 12, 20), 8)


@pytest.mark.parametrize('rest', [(5,), (2, 2, 5)])
def test_selection_takes_any_layout_behind_the_patches(rest):
    tokens = torch.randn(2, 6, *rest)
    keep = torch.tensor([[0, 4], [5, 1]])
    selected = select_patches(tokens, keep)
    assert torch.equal(selected, torch.stack([tokens[0, [0, 4]], tokens[1, [5, 1]]]))


def test_restoration_fills_the_other_places():
    tokens, keep = torch.randn(2, 2, 5, requires_grad=True), torch.tensor([[0, 4], [5, 1]])
    fill = torch.randn(1, 1, 5, requires_grad=True)
    restored = restore_patches(tokens, keep, fill, 6)
    assert torch.equal(select_patches(restored, keep), tokens)
    hidden = torch.ones(2, 6, dtype=torch.bool).scatter(1, keep, False)
    assert torch.equal(restored[hidden], fill[0].expand(8, 5))
    restored.sum().backward()
    assert torch.equal(tokens.grad, torch.ones_like(tokens)) and torch.equal(fill.grad, torch.full((1, 1, 5), 8.0))


def test_restoration_follows_the_type_of_the_tokens():
    tokens, keep = torch.randn(1, 1, 3, dtype=torch.bfloat16), torch.tensor([[2]])
    assert restore_patches(tokens, keep, torch.zeros(1, 1, 3), 4).dtype == torch.bfloat16


def test_a_token_stands_in_hidden_places_alone():
    tokens, token = torch.randn(2, 3, 4), torch.randn(1, 1, 4)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    hidden = hide_patches(tokens, mask, token)
    assert torch.equal(hidden[~mask], tokens[~mask]) and torch.equal(hidden[0, 2], token[0, 0])
    assert hide_patches(tokens.bfloat16(), mask, token).dtype == torch.bfloat16
    with pytest.raises(ValueError, match='needs a mask_token'):
        hide_patches(tokens, mask, None)
    with pytest.raises(ValueError, match='3 patches and the images 4'):
        hide_patches(torch.randn(2, 4, 4), mask, token)
