from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from mmssl.models.heads.cluster_head import ClusterHead


def test_the_loss_is_the_mean_over_heads_and_labelled_images():
    head = ClusterHead(6, 4, num_heads=3, relu=True, temperature=0.5, init='torch')
    features, labels = torch.randn(5, 6), torch.randint(4, (5, 3))
    single = [cross_entropy(head.scores(features, h), labels[:, h]) for h in range(3)]
    torch.testing.assert_close(head(features, labels), sum(single) / 3)
    logits = torch.stack([head.scores(features, h) for h in range(3)], 1)
    torch.testing.assert_close(head.predict(features), logits)
    labels[2] = -1
    others = [0, 1, 3, 4]
    torch.testing.assert_close(head(features, labels), head(features[others], labels[others]))


def test_images_without_label_give_no_gradient():
    head, features = ClusterHead(6, 4), torch.randn(3, 6, requires_grad=True)
    head(features, torch.tensor([[1], [-1], [2]])).backward()
    assert features.grad[1].abs().max() == 0 < features.grad[0].abs().max()
    assert head(features, torch.full((3, 1), -1)) == 0


def test_own_centroid_at_temperature_a_tenth():
    head = ClusterHead(4, 4, bias=False, temperature=0.1, frozen=True)
    head.set_centroids(torch.eye(4)[None])
    assert not any(p.requires_grad for p in head.parameters())
    expected = math.log(math.e**10 + 3) - 10
    assert head(torch.eye(4), torch.arange(4)[:, None]).item() == pytest.approx(expected, rel=1e-3)


def test_reset_draws_small_weights_and_no_bias():
    head = ClusterHead(400, 50)
    head.fc.bias.data.fill_(1)
    before = head.fc.weight.clone()
    head.reset()
    assert head.fc.weight.std().item() == pytest.approx(0.01, rel=0.05) and not torch.equal(head.fc.weight, before)
    assert head.fc.bias.abs().max() == 0
    with pytest.raises(ValueError, match='temperature must be positive'):
        ClusterHead(4, 4, temperature=0)
