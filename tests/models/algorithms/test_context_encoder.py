from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.testing import assert_close

from mmssl.models.losses.inpainting_loss import inpainting_error
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, build, views

UNITS = dict(type='SelfSupDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3)
MODEL = dict(
    neck=dict(type='InpaintingGenerator', in_channels=64, map_size=2, bottleneck=12, widths=(6,)),
    head=dict(type='InpaintingLoss', rim=2),
)
D = dict(type='RegionDiscriminator', size=8, widths=(4, 6))


def _build(**options):
    return build('ContextEncoder', **MODEL, **options)


def test_the_hole_is_filled_with_one_colour_and_its_rim_stays_visible():
    algorithm, (images,) = _build(), views(1, images=2, size=16)
    context = algorithm.context(images)
    hidden = torch.zeros(16, 16, dtype=torch.bool)
    hidden[6:10, 6:10] = True  # the hole of 8 pixels without its rim of 2
    assert torch.equal(context[..., ~hidden], images[..., ~hidden])
    assert_close(context[0, :, 7, 7], torch.tensor([117, 104, 123]).double() / 127.5 - 1, rtol=0, atol=1e-6)
    mask, patches = algorithm.eval().reconstruct(images)
    assert mask.sum(dim=1).tolist() == [16, 16] and patches.shape == (2, 256, 3)


def test_the_rim_counts_ten_times():
    truth = torch.zeros(1, 1, 6, 6)
    inner, rim = truth.clone(), truth.clone()
    inner[..., 2:4, 2:4] = 1
    rim[..., 0, 0] = 1
    assert_close(inpainting_error(inner, truth, 2, 10.0).item(), 4 / 36)
    assert_close(inpainting_error(rim, truth, 2, 10.0).item(), 10 / 36)
    assert_close(inpainting_error(inner + 3 * rim, truth, 0, 10.0).item(), 13 / 36)


def test_without_a_discriminator_the_loss_is_the_squared_error():
    algorithm, (images,) = _build(), views(1, size=16)
    losses = algorithm.loss([images])
    fills = algorithm.fill(images)
    assert losses.keys() == {'loss_reconstruction', 'squared_error'}
    assert_close(losses['loss_reconstruction'], algorithm.head(fills, images[..., 4:12, 4:12]))


def test_generator_and_discriminator_get_the_gradients_of_their_own_terms():
    algorithm, (images,) = _build(discriminator=D, reconstruction_weight=0.3), views(1, size=16)
    losses = algorithm.loss([images])
    sum(value for name, value in losses.items() if name.startswith('loss')).backward()
    generator = list(algorithm.backbone.parameters()) + list(algorithm.neck.parameters())
    critic = list(algorithm.discriminator.parameters())
    truth, fills = images[..., 4:12, 4:12], algorithm.fill(images)
    ones = torch.ones(8, dtype=torch.float64)
    hoped = 0.3 * algorithm.head(fills, truth) + 0.7 * bce(algorithm.discriminator(fills), ones)
    for parameter, gradient in zip(generator, torch.autograd.grad(hoped, generator)):
        assert_close(parameter.grad, gradient, rtol=1e-6, atol=1e-12)
    told = bce(algorithm.discriminator(truth), ones) + bce(algorithm.discriminator(fills.detach()), 0 * ones)
    for parameter, gradient in zip(critic, torch.autograd.grad(told, critic)):
        assert_close(parameter.grad, gradient, rtol=1e-6, atol=1e-12)


def test_a_discriminator_that_knows_nothing():
    algorithm = _build(discriminator=D)
    torch.nn.init.zeros_(algorithm.discriminator.layers[-1].weight)
    losses = algorithm.loss(views(1, size=16))
    assert_close(losses['loss_discriminator'].item(), 2 * math.log(2))
    assert_close(losses['loss_adversarial'].item(), 0.001 * math.log(2))


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r'images must lie in \[-1, 1\]: set model.data_preprocessor.mean'):
        _build(data_preprocessor=dict(type='SelfSupDataPreprocessor'))
    with pytest.raises(ValueError, match='the hole in images of 32 pixels has 16, but model.neck makes 8'):
        build('ContextEncoder', backbone=dict(BACKBONE, out_indices=(2,)), **_wide()).fill(views(1, size=32)[0])
    with pytest.raises(ValueError, match='model.discriminator.size=8 must be 16'):
        _build(discriminator=D).discriminator(torch.zeros(1, 3, 16, 16).double())
    with pytest.raises(ValueError, match='multiple of 4 for 2 widths'):
        _build(discriminator=dict(D, size=6))
    with pytest.raises(ValueError, match=r'reconstruction_weight must lie in \[0, 1\], got 2'):
        _build(reconstruction_weight=2)


def _wide() -> dict:
    return dict(MODEL, neck=dict(MODEL['neck'], in_channels=32, map_size=8))


@pytest.mark.parametrize('discriminator', [None, D])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path, discriminator):
    model = dict(
        type='ContextEncoder', data_preprocessor=UNITS, backbone=BACKBONE, discriminator=discriminator, **MODEL
    )
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=16)]),
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    )
    assert_resume_is_exact(tmp_path, model=model, train_dataloader=loader)
