from __future__ import annotations

from itertools import permutations

import pytest
import torch

from mmssl.clustering.labels import TransportLabeller
from mmssl.clustering.sinkhorn import sinkhorn, transport_labels


def solve(logits, power=25.0, **options):
    log_probabilities = torch.log_softmax(logits, 1)

    def chunks():
        return iter(log_probabilities.split(37))

    transport = sinkhorn(chunks, logits.shape[1], power=power, **options)
    return transport, transport_labels(chunks, transport, power), log_probabilities


def test_clusters_are_equal_where_plain_argmax_is_not():
    logits = 2 * torch.randn(1000, 20, dtype=torch.float64)
    transport, labels, log_probabilities = solve(logits)
    sizes, plain = (torch.bincount(x, minlength=20) for x in (labels, log_probabilities.argmax(1)))
    assert (sizes - 50).abs().max() <= 3 < (plain - 50).abs().max()
    matrix = transport.matrix(log_probabilities, 25)
    assert (matrix.sum(0) * 20 - 1).abs().max() < 1e-3 and (matrix.sum(1) * 1000 - 1).abs().max() < 1e-12


def test_order_and_class_biases_do_not_matter():
    logits = torch.randn(120, 6, dtype=torch.float64)
    order = torch.randperm(120)
    _, labels, _ = solve(logits, tolerance=1e-4)
    assert torch.equal(solve(logits[order], tolerance=1e-4)[1], labels[order])
    assert torch.equal(solve(logits + torch.randn(6), tolerance=1e-4)[1], labels)


def test_a_large_power_gives_the_best_balanced_assignment():
    logits = torch.tensor([[2.0, 0.1], [1.9, 0.4], [1.2, 0.9], [0.8, 0.2]], dtype=torch.float64)
    _, labels, log_probabilities = solve(logits, power=8.0, tolerance=1e-3)
    balanced = set(permutations([0, 0, 1, 1]))
    best = max(balanced, key=lambda found: sum(log_probabilities[i, k].item() for i, k in enumerate(found)))
    assert tuple(labels.tolist()) == best


def test_the_table_takes_the_memory_that_a_gpu_has_free_when_labels_are_made(monkeypatch):
    labeller, table = TransportLabeller(10), 4 * 100 * 10
    labeller.device = torch.device('cuda')
    for free, stored in ((2 * table, table), (table, 0)):
        monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device, free=free: (free, 10**9))
        assert labeller.memory(100, 8)['log-probabilities of a head'] == stored


@pytest.mark.parametrize('wrong', [dict(power=0), dict(tolerance=-0.1)])
def test_a_power_or_tolerance_that_makes_no_labels_is_refused(wrong):
    with pytest.raises(ValueError, match='power and tolerance must be positive'):
        TransportLabeller(10, **wrong)


def test_what_does_not_converge_or_is_not_finite_says_so():
    with pytest.raises(ValueError, match='did not converge in 1 iterations'):
        solve(torch.randn(50, 5, dtype=torch.float64), tolerance=1e-9, max_iterations=1)
    with pytest.raises(ValueError, match='not finite'):
        solve(torch.full((4, 2), float('nan')))
