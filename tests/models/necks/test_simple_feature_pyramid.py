from __future__ import annotations

import pytest
import torch

from mmssl.models.necks.simple_feature_pyramid import SimpleFeaturePyramid


def test_levels_have_the_strides_of_a_detectors_pyramid():
    neck = SimpleFeaturePyramid(16, 8)
    levels = neck([None, torch.randn(2, 16, 6, 10)])
    assert [tuple(level.shape) for level in levels] == [
        (2, 8, 24, 40), (2, 8, 12, 20), (2, 8, 6, 10), (2, 8, 3, 5), (2, 8, 2, 3)
    ]  # fmt: skip
    assert torch.equal(levels[4], levels[3][:, :, ::2, ::2])
    assert len(SimpleFeaturePyramid(16, 8, num_outs=4)([torch.randn(2, 16, 6, 10)])) == 4


def test_number_of_parameters_of_the_official_pyramid():
    """Of ViT-B: two, one and no deconvolution, and a 1x1 and a 3x3 convolution without bias, with norms, per level."""
    deconvolutions = (768 * 384 * 4 + 384) + 2 * 384 + (384 * 192 * 4 + 192) + (768 * 384 * 4 + 384)
    convolutions = sum(width * 256 + 256 * 256 * 9 + 4 * 256 for width in (192, 384, 768, 768))
    assert sum(p.numel() for p in SimpleFeaturePyramid(768).parameters()) == deconvolutions + convolutions


def test_every_position_of_every_level_is_normalised():
    for level in SimpleFeaturePyramid(16, 8)([torch.randn(2, 16, 4, 4)]):
        torch.testing.assert_close(level.mean(dim=1), torch.zeros_like(level[:, 0]), rtol=0, atol=1e-5)


def test_the_map_reaches_each_level_and_each_parameter_a_gradient():
    neck, features = SimpleFeaturePyramid(16, 8), torch.randn(1, 16, 4, 4, requires_grad=True)
    for level in neck([features]):
        (gradient,) = torch.autograd.grad(level.square().sum() + level[:, 0].sum(), features, retain_graph=True)
        assert gradient.any()
    sum((level**3).sum() for level in neck([features])).backward()
    assert all(p.grad.any() for p in neck.parameters())


def test_another_number_of_levels_is_an_error():
    with pytest.raises(ValueError, match='num_outs'):
        SimpleFeaturePyramid(16, num_outs=3)
