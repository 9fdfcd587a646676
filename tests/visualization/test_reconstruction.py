"""Reconstructions: every pixel of every panel, levels in rows, and that drawing leaves no trace."""

from __future__ import annotations

import random

import pytest
import torch
from mmengine.runner import set_random_seed
from torch import Tensor, nn

from mmssl.models.layers.patches import patchify
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.models.targets.hog_target import HOGTarget
from mmssl.models.targets.pixel_target import PixelTarget
from mmssl.registry import ALGORITHMS
from mmssl.utils.errors import UserError
from mmssl.visualization.reconstruction import (
    PANELS,
    reconstruct_images,
    reconstruction_figure,
    reconstruction_panels,
)
from tests.support.small_parts import build, masked, mlp

IMAGES = torch.randint(0, 256, (2, 3, 8, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Negatives(nn.Module):
    """Hides one patch of 4 x 4 pixels in each image at random and predicts the negative of every patch."""

    def __init__(self, standardize: bool = False, sign: float = -1) -> None:
        super().__init__()
        self.data_preprocessor = SelfSupDataPreprocessor(mean=[127.5] * 3, std=[100, 50, 127.5])
        self.target = PixelTarget(4, standardize)
        self.sign = sign

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        prediction = self.sign * self.target(images)
        hidden = torch.stack([torch.randperm(prediction.shape[1]) == 0 for _ in images])
        return hidden, prediction


class Levels(Negatives):
    """Predicts the image on one level and its negative on another."""

    def reconstruct_levels(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        mask, negative = self.reconstruct(images)
        return mask, dict(fine=-negative, coarse=negative)


def small_mae(**options) -> nn.Module:
    torch.manual_seed(0)
    return ALGORITHMS.build(masked(**options))


def test_bands_are_predicted_and_those_shown_are_drawn() -> None:
    images = torch.randint(0, 65536, (2, 5, 8, 12), generator=torch.Generator().manual_seed(0)).to(torch.uint16)
    model = Negatives(sign=1)
    model.data_preprocessor = SelfSupDataPreprocessor([127.5] * 5, [100] * 5, shown=(4, 2, 0))
    drawn = reconstruct_images(model, images)
    expected = (images[:, [4, 2, 0]].float() / 257).round().to(torch.uint8)
    assert torch.equal(drawn.images, expected) and drawn.hidden.sum() == 2 * 16
    assert (drawn.pictures[''].int() - expected.int()).abs().max() <= 1


def test_every_pixel_of_every_panel() -> None:
    drawn = reconstruct_images(Negatives(), IMAGES)
    panels = reconstruction_panels(IMAGES, drawn.hidden, drawn.visible, drawn.pictures[''])
    assert list(drawn.pictures) == [''] and panels.shape == (2, len(PANELS), 3, 8, 12) and panels.dtype == torch.uint8
    original, covered, negative, pasted = panels.unbind(1)
    assert torch.equal(original, IMAGES)
    assert torch.equal(negative, 255 - IMAGES)
    counts = []
    for n, row, column in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(3)).tolist():
        cell = n, slice(None), slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4)
        is_hidden = drawn.hidden[cell]
        assert is_hidden.all() or not is_hidden.any()
        counts.append(int(is_hidden.any()))
        assert torch.equal(covered[cell], torch.full_like(IMAGES[cell], 128) if is_hidden.any() else IMAGES[cell])
        assert torch.equal(pasted[cell], 255 - IMAGES[cell] if is_hidden.any() else IMAGES[cell])
    assert [sum(counts[:6]), sum(counts[6:])] == [1, 1]


def test_standardised_pixels_come_back_with_the_statistics_of_the_true_patches() -> None:
    drawn = reconstruct_images(Negatives(standardize=True, sign=1), IMAGES)
    assert torch.equal(drawn.pictures[''], IMAGES)
    model = Negatives(standardize=True, sign=0)
    drawn = reconstruct_images(model, IMAGES)
    preprocessor = model.data_preprocessor
    patches = patchify(preprocessor.prepare(IMAGES), 4).unflatten(-1, (-1, 3))
    flat = patches.mean((-1, -2), keepdim=True).expand_as(patches)  # one mean for all channels, which are normalised
    colours = flat * preprocessor.std.flatten() + preprocessor.mean.flatten()
    assert torch.equal(patchify(drawn.pictures[''], 4), colours.mul(255).round().to(torch.uint8).flatten(-2))


@pytest.mark.parametrize(
    'masker',
    [
        dict(type='UniformMasker'),
        dict(type='BlockwiseMasker', num_hidden=8, min_block=2, exact=True),
        dict(type='SimMIMMasker', unit_size=8),
    ],
    ids=lambda masker: masker['type'],
)
def test_the_seed_draws_the_masks_and_further_images_do_not_change_them(masker: dict) -> None:
    model = small_mae(masker=dict(masker, patch_size=4))
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    drawn = reconstruct_images(model, images)
    assert 0 < drawn.hidden.float().mean() < 1
    again = reconstruct_images(model, images)
    assert torch.equal(again.hidden, drawn.hidden) and torch.equal(again.pictures[''], drawn.pictures[''])
    assert torch.equal(reconstruct_images(model, images[:1]).hidden, drawn.hidden[:1])
    assert not torch.equal(reconstruct_images(model, images, seed=1).hidden, drawn.hidden)


def test_drawing_leaves_no_trace() -> None:
    model = small_mae(masker=dict(type='BlockwiseMasker', num_hidden=8, min_block=2, exact=True, patch_size=4)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    set_random_seed(5)
    expected = torch.rand(3).tolist(), random.random()
    set_random_seed(5)
    reconstruction_figure(model, torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
    assert (torch.rand(3).tolist(), random.random()) == expected
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_row_for_each_image() -> None:
    drawn = reconstruct_images(Negatives(), IMAGES, seed=3)
    cells = [axes for axes in reconstruction_figure(Negatives(), IMAGES, seed=3).axes if axes.images]
    assert [cell.get_title() for cell in cells] == [*PANELS, *[''] * 4]
    assert not any(cell.get_ylabel() for cell in cells)
    shown = torch.stack([torch.from_numpy(cell.images[0].get_array()).permute(2, 0, 1) for cell in cells])
    panels = reconstruction_panels(IMAGES, drawn.hidden, drawn.visible, drawn.pictures[''])
    assert torch.equal(shown.mul(255).round().to(torch.uint8), panels.flatten(0, 1))


def test_no_column_repeats_the_reconstruction_where_everything_is_hidden() -> None:
    model = Negatives()
    hidden, prediction = model.reconstruct(model.data_preprocessor.prepare(IMAGES))
    model.reconstruct = lambda images: (torch.ones_like(hidden), prediction)
    cells = [axes for axes in reconstruction_figure(model, IMAGES).axes if axes.images]
    assert [cell.get_title() for cell in cells] == ['original', 'input', 'reconstruction', *[''] * 3]


def test_a_row_for_each_level_of_each_image_under_one_mask() -> None:
    drawn = reconstruct_images(Levels(), IMAGES)
    assert torch.equal(drawn.pictures['fine'], IMAGES) and torch.equal(drawn.pictures['coarse'], 255 - IMAGES)
    assert drawn.hidden.sum((1, 2, 3)).tolist() == [16, 16]
    cells = [axes for axes in reconstruction_figure(Levels(), IMAGES).axes if axes.images]
    assert [cell.get_ylabel() for cell in cells[::4]] == ['fine', 'coarse', 'fine', 'coarse']
    shown = [torch.from_numpy(cell.images[0].get_array()).permute(2, 0, 1) for cell in cells[2::4]]
    expected = [IMAGES[0], 255 - IMAGES[0], IMAGES[1], 255 - IMAGES[1]]
    assert all(torch.equal(a.mul(255).round().to(torch.uint8), b) for a, b in zip(shown, expected))


def test_a_target_that_is_another_picture_has_a_column() -> None:
    model = Negatives()
    model.target = HOGTarget(4, cell_size=4)
    model.sign = 0.5
    drawn = reconstruct_images(model, IMAGES)
    cells = [axes for axes in reconstruction_figure(model, IMAGES).axes if axes.images]
    assert [cell.get_title() for cell in cells[:5]] == [*PANELS, 'target']
    shown = torch.from_numpy(cells[9].images[0].get_array()).permute(2, 0, 1).mul(255).round()
    assert torch.equal(shown.to(torch.uint8), drawn.target[1])
    assert drawn.target.float().mean() > drawn.pictures[''].float().mean() > 0


def test_methods_that_have_no_such_picture() -> None:
    contrastive = build('SimCLR', neck=mlp(64), head=dict(type='NTXentLoss', temperature=0.5))
    with pytest.raises(UserError, match='SimCLR reconstructs no image'):
        reconstruct_images(contrastive, IMAGES)
    model = Negatives()
    model.target = nn.Identity()
    with pytest.raises(UserError, match='Negatives predicts Identity, which is not a picture: .* such as PixelTarget'):
        reconstruct_images(model, IMAGES)
