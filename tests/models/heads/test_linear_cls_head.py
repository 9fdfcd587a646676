"""The classifier: its norms, its initial weights, its loss."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from mmssl.models.heads.linear_cls_head import LinearClsHead


def test_initial_weights():
    head = LinearClsHead(2048, 1000)
    assert head.fc.weight.std().item() == pytest.approx(0.01, rel=0.01) and not head.fc.bias.any()
    assert LinearClsHead(768, 1000, init_std=2e-5).fc.weight.std().item() == pytest.approx(2e-5, rel=0.01)
    assert not LinearClsHead(8, 4, init_std=0.0).fc.weight.any()


def test_loss_of_a_plain_head():
    head = LinearClsHead(6, 3, loss=dict(type='CrossEntropyLoss', label_smoothing=0.2))
    features, labels = torch.randn(5, 6), torch.tensor([0, 1, 2, 1, 0])
    logits = features @ head.fc.weight.T + head.fc.bias
    assert_close(head.predict(features), logits)
    assert_close(head(features, labels), F.cross_entropy(logits, labels, label_smoothing=0.2))
    assert [name for name, _ in head.named_parameters()] == ['fc.weight', 'fc.bias']


def test_batch_norm_of_mae_has_nothing_that_trains():
    head = LinearClsHead(6, 3, norm='batch').train()
    features = 5 + 3 * torch.randn(64, 6)
    scaled = (features - features.mean(0)) / (features.var(0, correction=0) + 1e-6).sqrt()
    assert_close(head.predict(features), head.fc(scaled), rtol=1e-4, atol=1e-6)
    assert [name for name, _ in head.named_parameters()] == ['fc.weight', 'fc.bias']
    running = head.norm.running_mean.clone()
    head.eval().predict(features)
    assert torch.equal(head.norm.running_mean, running) and running.abs().min() > 0


def test_layer_norm_of_fine_tuned_transformers():
    head = LinearClsHead(6, 3, norm='layer')
    features = torch.randn(4, 6)
    assert_close(head.predict(features), head.fc(F.layer_norm(features, (6,), eps=1e-6)))
    assert {name for name, _ in head.named_parameters()} == {'norm.weight', 'norm.bias', 'fc.weight', 'fc.bias'}


def test_batch_norm_of_care_follows_the_linear_layer():
    head = LinearClsHead(6, 3, logit_norm=True).train()
    logits = head.predict(torch.randn(256, 6))
    assert_close(logits.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    assert isinstance(head.logit_norm, nn.BatchNorm1d) and head.logit_norm.affine


def test_takes_what_backbones_return():
    head = LinearClsHead(6, 3)
    maps = torch.randn(2, 6, 4, 4)
    assert_close(head.predict((torch.randn(2, 3, 8, 8), maps)), head.predict(maps.mean((2, 3))))


def test_arguments():
    with pytest.raises(ValueError, match="'group'"):
        LinearClsHead(6, 3, norm='group')
    with pytest.raises(ValueError, match='-1'):
        LinearClsHead(6, 3, init_std=-1.0)
