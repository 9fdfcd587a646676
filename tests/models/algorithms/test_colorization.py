from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mmssl.engine.agreement import check_units
from mmssl.models.components.color_prior import ColorPrior
from mmssl.models.components.lightness import Lightness
from mmssl.models.layers.lab import ab_bins, annealed_mean, lab_to_rgb, rgb_to_lab, soft_bins
from mmssl.models.losses.rebalanced_color_loss import rebalanced_cross_entropy
from mmssl.models.targets.color_target import ColorTarget
from mmssl.utils.errors import UserError
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, build, views

MODEL = dict(
    backbone=dict(type='AdaptedInput', steps=[dict(type='Lightness')], network=BACKBONE),
    neck=dict(type='ColorUpsampler', in_channels=64, width=12),
    head=dict(type='RebalancedColorLoss'),
    target=dict(type='ColorTarget', stride=4),
)


def test_lab_and_back():
    pixels = torch.rand(2, 3, 5, 4, dtype=torch.float64)
    assert_close(lab_to_rgb(rgb_to_lab(pixels)), pixels, rtol=0, atol=1e-5)
    black = torch.zeros(1, 3, 1, 1, dtype=torch.float64, requires_grad=True)
    rgb_to_lab(black).sum().backward()
    assert torch.isfinite(black.grad).all()


def test_a_picture_of_colours_needs_whole_cells():
    with pytest.raises(UserError, match=r'multiples of model\.target\.stride=4, got 30 x 32 pixels'):
        ColorTarget().to_pixels(torch.zeros(1, 2, 8, 8), torch.zeros(1, 3, 30, 32))


def test_a_colour_on_a_bin_is_that_bin():
    bins = ab_bins().double()
    indices, shares = soft_bins(bins[[7, 200]].view(2, 2, 1, 1), bins)
    assert indices[:, 0].flatten().tolist() == [7, 200] and indices.shape == (2, 10, 1, 1)
    assert_close(shares.sum(dim=1), torch.ones(2, 1, 1, dtype=torch.float64))
    assert (shares[:, 0] > 2 * shares[:, 1]).all()


def test_weights_are_one_on_average_and_larger_for_rare_colours(tmp_path: Path):
    prior = ColorPrior()
    assert_close(prior.weights(), torch.ones(313, dtype=torch.float64))
    prior.stage(torch.full((1, 1, 20, 20), 5), torch.ones(1, 1, 20, 20))
    assert prior.counts.sum() == 313  # nothing before the step
    prior.commit()
    prior.commit()
    probabilities, weights = prior.counts / prior.counts.sum(), prior.weights()
    assert prior.counts[5] == 401 and weights.argmin() == 5
    assert_close((probabilities * weights).sum().item(), 1.0)
    few = ColorPrior(mix=0.25)  # a quarter of the uniform distribution
    few.load_state_dict(prior.state_dict())
    assert_close(
        (few.weights()[0] / few.weights()[5]).item(), (0.75 * 401 / 713 + 0.25 / 313) / (0.75 / 713 + 0.25 / 313)
    )
    np.save(tmp_path / 'prior.npy', probabilities.numpy())
    fixed = ColorPrior(file=str(tmp_path / 'prior.npy'))
    fixed.stage(torch.zeros(1, 1, 2, 2, dtype=torch.int64), torch.ones(1, 1, 2, 2))
    fixed.commit()
    assert_close(fixed.weights(), weights)
    np.save(tmp_path / 'prior.npy', np.zeros(313))
    with pytest.raises(UserError, match='must hold 313 positive numbers'):
        ColorPrior(file=str(tmp_path / 'prior.npy'))


def test_a_file_without_a_prior_is_named(tmp_path: Path):
    file = tmp_path / 'prior.npy'
    with pytest.raises(UserError, match=r'prior\.npy does not exist: set model\.prior\.file'):
        ColorPrior(file=str(file))
    file.write_text('0.1 0.2')
    with pytest.raises(UserError, match='must hold 313 positive numbers'):
        ColorPrior(file=str(file))
    for wrong in (np.array(['red', 'blue']), np.full(313, np.inf), np.ones((313, 1))):
        np.save(file, wrong)
        with pytest.raises(UserError, match='must hold 313 positive numbers'):
            ColorPrior(file=str(file))


def test_a_new_run_forgets_loaded_counts(tmp_path: Path):
    np.save(tmp_path / 'prior.npy', np.linspace(1, 2, len(ab_bins())))
    for prior in (ColorPrior(), ColorPrior(file=str(tmp_path / 'prior.npy'))):
        initial = prior.counts.clone()
        prior.load_state_dict(dict(counts=torch.full_like(initial, 7)))
        assert prior.counts[0] == 7
        prior.restart()
        assert torch.equal(prior.counts, initial)


def test_the_loss_of_equal_probabilities():
    indices, shares = soft_bins(torch.rand(2, 2, 3, 3), ab_bins())
    loss = rebalanced_cross_entropy(torch.zeros(2, 313, 3, 3), indices, shares, torch.ones(2, 3, 3))
    assert_close(loss.item(), 9 * math.log(313), rtol=1e-6, atol=0)


def test_the_network_sees_no_colour_and_predicts_that_of_the_positions():
    algorithm = build('Colorization', **MODEL)
    (images,) = views(1, images=2, size=32)
    grey, _ = algorithm.visible(images, None), algorithm.eval()
    assert_close(algorithm.backbone(grey)[-1], algorithm.backbone(images)[-1], rtol=1e-2, atol=1e-3)
    lab = rgb_to_lab(images * algorithm.target.std + algorithm.target.mean)
    assert_close(algorithm.target(images), lab[:, 1:, ::4, ::4])


def test_a_grey_image_has_no_gradient():
    algorithm = build('Colorization', **MODEL)
    grey = torch.randn(1, 1, 32, 32, dtype=torch.float64) / algorithm.target.std - (
        algorithm.target.mean / algorithm.target.std
    )
    losses = [algorithm.loss([x])['loss'] for x in (grey.expand(2, -1, -1, -1), views(1, images=2, size=32)[0])]
    assert losses[0] == 0 < losses[1]


def test_the_mean_of_the_preprocessor_must_be_known():
    preprocessor = dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0])
    with pytest.raises(UserError, match=r'model\.backbone\.steps\.0\.mean=.* must be the mean of model.data_prep'):
        check_units(build('Colorization', data_preprocessor=preprocessor, **MODEL))
    assert Lightness(channels=1)(torch.zeros(1, 3, 2, 2)).shape == (1, 1, 2, 2)


def test_black_and_white_are_the_ends_of_the_lightness():
    lightness = Lightness(mean=(51.0, 51.0, 51.0), std=(102.0, 102.0, 102.0))
    ends = torch.tensor([-0.5, 2.0]).view(2, 1, 1, 1).expand(-1, 3, 1, 1)  # pixel values of 0 and 255
    assert_close(lightness(ends)[:, 0].flatten(), torch.tensor([-0.5, 0.5]), rtol=0, atol=1e-5)


def test_a_sharp_prediction_is_the_bin():
    logits = torch.zeros(1, 313, 1, 1)
    logits[0, 40] = 20
    assert_close(annealed_mean(logits, ab_bins())[0, :, 0, 0], ab_bins()[40])


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    model = dict(type='Colorization', data_preprocessor=dict(type='SelfSupDataPreprocessor'), **MODEL)
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=32)]),
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    )
    assert_resume_is_exact(tmp_path, model=model, train_dataloader=loader)


def test_weights_are_of_full_precision_within_autocast():
    algorithm, (images,) = build('Colorization', **MODEL).float(), views(1, size=16)
    algorithm.prior.counts.copy_(torch.arange(1, 314))
    seen: list[torch.Tensor] = []
    algorithm.head.register_forward_pre_hook(lambda head, args: seen.append(args[3]))
    for enabled in (False, True):
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            algorithm.loss([images.float()])
    assert torch.equal(*seen)


@pytest.mark.parametrize('part', [ColorTarget(1), Lightness()])
def test_colours_are_of_full_precision_for_half_images(part):
    images = torch.randn(2, 3, 8, 8).bfloat16()
    assert_close(part(images), part(images.float()), rtol=0, atol=2e-3, check_dtype=False)
    assert Lightness()(images).dtype == torch.bfloat16  # the dtype of the weights after it
