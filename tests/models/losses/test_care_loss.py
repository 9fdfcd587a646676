from __future__ import annotations

import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.losses.care_loss import CARELoss, care, stream_distance
from tests.support.spec_tensors import A, B, C, E


def test_terms_are_the_pairs():
    terms = care(A, B, C, E)
    assert_close(terms['loss_c'].item(), 1.9917423984, rtol=1e-9, atol=0)
    assert_close((terms['loss_c'] + terms['loss_t']).item(), 3.8280907350, rtol=1e-9, atol=0)
    squared = sum((normalize(x) - normalize(y)).square().sum(dim=1).mean() for x, y in ((A, C), (B, E)))
    assert_close(terms['loss_attention'], 100 * squared / A.shape[1])
    assert_close(CARELoss(attention_weight=7.0)(A, B, C, E)['loss_attention'], 7 * squared / A.shape[1])


def test_identical_and_opposite_vectors():
    for target, value in ((A, 0.0), (-A, 4.0)):
        assert_close(care(A, target, B, B)['loss_c'].item(), value)
        assert_close(care(B, B, A, target)['loss_t'].item(), value)
    assert_close(stream_distance(A, 3 * A).item(), 0.0)
    assert_close(stream_distance(A, -A).item(), 4 / A.shape[1])


def test_the_t_stream_supervises_and_is_not_supervised():
    f1, f3 = (x.clone().requires_grad_() for x in (A, C))
    terms = care(f1, B, f3, E)
    (of_c, of_t) = torch.autograd.grad(terms['loss_attention'], (f1, f3), allow_unused=True, retain_graph=True)
    assert of_c.abs().max() > 0 and of_t is None
    assert torch.autograd.grad(terms['loss_c'], f3, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(terms['loss_t'], f1, allow_unused=True) == (None,)


def test_the_teachers_streams_change_the_value_and_no_gradient():
    f1 = A.clone().requires_grad_()
    values, gradients = [], []
    for f4 in (E, B.flip(0)):
        loss = care(f1, B, C, f4)['loss_attention']
        values.append(loss.item())
        gradients.append(torch.autograd.grad(loss, f1)[0])
    assert values[0] != values[1]
    assert torch.equal(*gradients)


def test_half_precision_is_widened():
    exact = stream_distance(A.half().double(), C.half().double())
    assert_close(stream_distance(A.half(), C.half()), exact.float())
