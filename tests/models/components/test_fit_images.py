"""Maps of images to the input of a network: their values and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.models.backbones.adapted_input import AdaptedInput
from mmssl.models.components.fit_images import FitImages
from mmssl.models.components.gradient_discriminator import GradientDiscriminator
from mmssl.models.components.per_image_norm import PerImageNorm


def gradient_through(fit: FitImages, size: int) -> tuple[Tensor, Tensor]:
    """Gradient of a weighted sum of the result with respect to the image, and the weights."""
    images = torch.rand(2, 3, size, size, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 3, fit.size, fit.size, dtype=torch.float64)
    (fit(images) * weights).sum().backward()
    return images.grad, weights


def test_crop_and_pad_hand_on_the_gradient_of_the_window() -> None:
    gradient, weights = gradient_through(FitImages(4, 'crop'), 8)
    assert torch.equal(gradient[:, :, 2:6, 2:6], weights) and gradient.abs().sum() == weights.abs().sum()
    gradient, weights = gradient_through(FitImages(8, 'pad'), 4)
    assert torch.equal(gradient, weights[:, :, 2:6, 2:6])


@pytest.mark.parametrize('way', ['resize', 'resize_tf'])
def test_resize_is_linear_with_the_gradient_of_its_transpose(way: str) -> None:
    fit = FitImages(8, way)
    gradient, weights = gradient_through(fit, 4)
    for row, column in ((0, 0), (1, 2), (3, 3)):
        change = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
        change[1, 2, row, column] = 1
        assert_close(gradient[1, 2, row, column], (fit(change) * weights).sum())
    constant = torch.full((1, 3, 4, 4), 7.0)
    assert_close(fit(constant), torch.full((1, 3, 8, 8), 7.0))


def test_resize_of_tensorflow_1_by_its_definition() -> None:
    image = torch.rand(1, 3, 4, 4)
    found = FitImages(8, 'resize_tf')(image)
    assert_close(found[..., ::2, ::2], image)  # pixel i of the result lies at i / 2
    assert_close(found[..., ::2, 1:6:2], (image[..., :-1] + image[..., 1:]) / 2)
    assert_close(found[..., ::2, 7], image[..., -1])


def test_grey() -> None:
    image = torch.rand(2, 3, 4, 4)
    found = FitImages(4, 'crop', grey=True)(image)
    assert torch.equal(found[:, 0], found[:, 2]) and torch.allclose(found[:, 1], image.mean(dim=1))


def test_per_image_norm() -> None:
    images = torch.rand(3, 3, 4, 4, dtype=torch.float64) * 255
    flat = PerImageNorm('l2')(images).flatten(1)
    assert_close(flat.norm(dim=1), torch.ones(3, dtype=torch.float64))
    assert flat.sum(dim=1).abs().max() < 1e-12
    flat = PerImageNorm('std')(images).flatten(1)
    assert_close(flat.std(dim=1, correction=0), torch.ones(3, dtype=torch.float64))
    flat = PerImageNorm('l2', centre=False)(images).flatten(1)
    assert_close(flat * images.flatten(1).norm(dim=1, keepdim=True), images.flatten(1))
    dark = torch.zeros(1, 3, 4, 4)
    dark[0, 0, 0, 0] = 0.1  # a standard deviation below 1 / sqrt(n), which bounds it
    assert PerImageNorm('std')(dark).flatten()[0].item() == pytest.approx((0.1 - 0.1 / 48) * 48**0.5)
    assert not PerImageNorm('l2')(torch.zeros(1, 3, 2, 2)).isnan().any()


def test_a_discriminator_sees_neither_scale_nor_offset() -> None:
    assert sum(p.numel() for p in GradientDiscriminator(32, 5, 16).parameters()) == 699_090
    assert sum(p.numel() for p in GradientDiscriminator(32, 4, 8).parameters()) == 44_266
    model, maps = GradientDiscriminator(14, 3, 4).double(), torch.randn(4, 3, 14, 14, dtype=torch.float64)
    scale = torch.tensor([2.0, 0.5, 3.0, 1.0], dtype=torch.float64).view(4, 1, 1, 1)
    assert_close(model(maps * scale + 5), model(maps), rtol=1e-6, atol=1e-9)
    assert not torch.allclose(model(-maps), model(maps))
    assert GradientDiscriminator(14, 3, 4, pool=True)(maps.float()).shape == (4, 2)


def test_a_network_with_its_own_input() -> None:
    network = dict(type='ResNet', depth=18, stem='small', width=0.125)
    steps = [dict(type='FitImages', size=16, way='crop'), dict(type='PerImageNorm')]
    backbone = AdaptedInput(network=network, steps=steps).eval()
    images = torch.rand(2, 3, 20, 20)
    expected = backbone.network(PerImageNorm()(images[:, :, 2:18, 2:18]))[-1]
    assert_close(backbone(images)[-1], expected)
    assert backbone.feature_dim == backbone.network.feature_dim
    assert backbone.layers_to_output().keys() == {name for name, _ in backbone.named_parameters()}


def test_arguments() -> None:
    with pytest.raises(ValueError, match="way='resize'"):
        FitImages(8, 'crop')(torch.rand(1, 3, 4, 4))
    with pytest.raises(ValueError, match='way must be one of'):
        FitImages(8, 'zoom')
    with pytest.raises(ValueError, match='scale must be one of'):
        PerImageNorm('std', centre=False)


@pytest.mark.parametrize('way', ['resize', 'resize_tf'])
def test_large_half_images_are_resized_at_the_right_places(way: str) -> None:
    images = torch.linspace(0, 1, 300).expand(1, 3, 300, 300).contiguous()
    assert_close(FitImages(224, way)(images.bfloat16()).float(), FitImages(224, way)(images), rtol=0, atol=8e-3)
