"""Words by k-means: they are the nearest, and k-means finds clusters."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.layers.patches import patchify
from mmssl.models.tokenizers.patch_codebook import PatchCodebook, k_means, nearest


def test_a_word_is_the_nearest_code():
    codebook, pixels = PatchCodebook(10, 4), torch.rand(2, 3, 8, 12)
    words = codebook(pixels)
    assert words.shape == (2, 6) and words.dtype == torch.int64
    distance = torch.cdist(patchify(pixels, 4), codebook.codes)
    assert torch.equal(words, distance.argmin(dim=2))


def test_k_means_ends_at_means_of_clusters_and_is_the_same_each_time():
    points = torch.randn(300, 3)
    centers = k_means(points, 6, 200)
    assert torch.equal(centers, k_means(points, 6, 200))
    owner = nearest(points, centers)
    assert_close(centers, torch.stack([points[owner == center].mean(dim=0) for center in range(6)]))


def test_a_center_without_points_becomes_another_point():
    points = torch.tensor([[0.0], [0.0], [0.0], [1.0]])  # of the centers that are chosen, most are equal at first
    assert sorted(k_means(points, 2, 20, seed=0).flatten().tolist()) == [0.0, 1.0]


def test_k_means_does_not_get_worse_with_time():
    points = torch.randn(500, 8)
    centers = [k_means(points, 20, rounds) for rounds in (1, 3, 20)]
    errors = [torch.cdist(points, each).min(dim=1).values.square().mean() for each in centers]
    assert errors[0] > errors[1] > errors[2]


def test_fitted_words_are_used_and_saved():
    pixels = torch.rand(20, 3, 16, 16)
    codebook = PatchCodebook(12, 4)
    codebook.fit(pixels)
    assert codebook(pixels).unique().numel() == 12
    other = PatchCodebook(12, 4)
    other.load_state_dict(codebook.state_dict(), strict=True)
    assert torch.equal(other(pixels), codebook(pixels))
    with pytest.raises(ValueError, match='12 words cannot be fitted to 4 patches'):
        codebook.fit(pixels[:1, :, :8, :8])
