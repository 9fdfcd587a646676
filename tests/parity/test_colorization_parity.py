"""Colourisation against numbers recorded from the official layers and network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mmssl.models.components.color_prior import ColorPrior
from mmssl.models.layers.lab import ab_bins, annealed_mean, rgb_to_lab, soft_bins
from mmssl.models.losses.rebalanced_color_loss import rebalanced_cross_entropy
from tests.parity.golden import Golden, difference, summary


def _prior(golden: Golden) -> ColorPrior:
    """The recorded prior, in the component that otherwise counts."""
    values = (1.5 * golden.inputs()['prior'][:, 0]).exp()
    prior = ColorPrior()
    prior.counts = values / values.sum()
    return prior


@pytest.fixture(scope='module')
def targets(goldens_dir):
    return Golden(goldens_dir, 'colorization_targets')


def test_bins_and_lab(targets):
    record = targets.record
    assert ab_bins().tolist() == record['literals_out']['bins']
    assert difference(summary(ab_bins()), record['outputs']['bins'], 1e-12) is None
    pixels = torch.tensor(targets.literals['rgb'], dtype=torch.float64).T[None, :, None] / 255
    lab = rgb_to_lab(pixels)[:, :, 0].transpose(1, 2)
    assert difference(summary(lab), record['outputs']['lab'], 1e-8) is None


def test_targets_weights_and_loss(targets):
    inputs, outputs = targets.inputs(), targets.record['outputs']
    ab = 30 * 60**0.5 * inputs['ab']
    ab[1] *= 0.03
    ab = ab.clamp(-110, 110)
    indices, shares = soft_bins(ab, ab_bins().double())
    code = torch.zeros(3, 313, 6, 5, dtype=torch.float64).scatter(1, indices, shares)
    factor = _prior(targets).weights()
    boost = factor[indices[:, :1]]
    mask = (ab.abs() > 5).flatten(1).any(dim=1).double().view(3, 1, 1, 1)
    logits = ((313 * 30) ** 0.5 * inputs['logits']).requires_grad_()
    loss = rebalanced_cross_entropy(logits, indices, shares, (boost * mask)[:, 0])
    loss.backward()
    ones = torch.ones(3, 6, 5, dtype=torch.float64)
    plain = rebalanced_cross_entropy(logits.detach(), indices, shares, ones)
    found = dict(gt=code, prior_factor=factor, boost=boost, mask=mask, weight=boost * mask)
    found['decode'] = annealed_mean(logits.detach(), ab_bins(), 1 / 2.606).permute(0, 2, 3, 1)
    for name, value in found.items():
        assert difference(summary(value), outputs[name], 1e-8) is None, name
    losses = targets.record['losses']
    assert loss.item() == pytest.approx(losses['weighted'], rel=1e-10)
    assert plain.item() == pytest.approx(losses['caffe_reported_cross_entropy'], rel=1e-10)
    assert difference(summary(logits.grad), targets.record['grads']['logits'], 1e-7) is None


def test_a_step_of_the_official_network(goldens_dir):
    golden = Golden(goldens_dir, 'colorization_eccv16')
    recipe, kept = 'colorization/colorization_eccv16_1xb40-16e_in1k.py', ('prior.counts',)
    model = golden.build(recipe, 'colorization', kept=kept)
    inputs, model.backbone.stem = golden.inputs(), nn.Identity()
    model.prior.counts = _prior(golden).counts
    lightness = 50 + 15 * inputs['l'][:, :1]
    ab = (30 * 512**0.5 * inputs['ab']).clamp(-110, 110)
    outputs: dict[str, Tensor] = {}
    for index, stage in enumerate(model.backbone.stages, 1):
        stage.register_forward_hook(lambda module, args, out, name=f'model{index}': outputs.update({name: out.clone()}))
    logits = model.neck(model.backbone((lightness - 50) / 100))
    indices, shares = soft_bins(ab, model.bins)
    loss = model.head(logits, indices, shares, model.prior.weights()[indices[:, 0]])
    loss.backward()
    outputs['logits'] = logits
    # The recording fills the last convolution, which in the released file holds the bins / 110.
    last = 110 * golden.tensor('model_out.weight')[:, :, 0, 0].T
    outputs['pred_ab'] = interpolate(annealed_mean(logits, last, 1.0), scale_factor=4, mode='bilinear')
    golden.check(
        {
            'outputs': {name: summary(outputs[name]) for name in golden.record['outputs']},
            'losses': {'loss': loss.item()},
            'grads': golden.gradients(model, 'colorization'),
            'after_step': golden.state(model, 'colorization'),
        }
    )
