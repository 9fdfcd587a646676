from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.algorithms.simsiam import _output_std
from mmssl.models.losses.negative_cosine_loss import negative_cosine
from tests.support.small_parts import build, mlp, predict, views

NECK = mlp(64, num_layers=3, last_bias=True, freeze_last_bias=True, last_norm='plain')


def _simsiam():
    return build('SimSiam', neck=NECK, head=predict('NegativeCosineLoss'))


def test_value_and_gradient_through_the_predictions_alone():
    algorithm, (x1, x2) = _simsiam(), views()
    z1, z2 = (algorithm.neck(algorithm.backbone(x)) for x in (x1, x2))
    p1, p2 = algorithm.head.predictor(z1), algorithm.head.predictor(z2)
    expected = (negative_cosine(p1, z2.detach()) + negative_cosine(p2, z1.detach())) / 2
    weight = algorithm.backbone.conv1.weight
    (grad,) = torch.autograd.grad(expected, weight)
    losses = algorithm.loss([x1, x2])
    assert_close(losses['loss'], expected)
    assert_close(torch.autograd.grad(losses['loss'], weight)[0], grad)


def test_the_last_bias_stays_as_it_began():
    algorithm = _simsiam()
    bias = algorithm.neck.layers[6].bias
    before = bias.clone()
    optimizer = torch.optim.SGD([p for p in algorithm.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    for _ in range(3):
        algorithm.loss(views())['loss'].backward()
        optimizer.step()
    assert bias.grad is None and torch.equal(bias, before)


def test_the_monitor_of_collapse():
    assert_close(_output_std(torch.randn(4096, 2048)).item(), 2048**-0.5, rtol=0.01, atol=0)
    assert_close(_output_std(torch.ones(8, 16)).item(), 0.0)
    losses = _simsiam().loss(views())
    assert losses['output_std'].ndim == 0 and not losses['output_std'].requires_grad
    assert [name for name in losses if 'loss' in name] == ['loss']
