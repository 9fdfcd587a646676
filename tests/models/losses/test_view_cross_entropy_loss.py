from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import cross_entropy
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmssl.models.components.centered_softmax import CenteredSoftmax
from mmssl.models.losses.view_cross_entropy_loss import ViewCrossEntropyLoss, view_cross_entropy


def wave(function, frequency: float, *shape: int) -> Tensor:
    return function(frequency * torch.arange(math.prod(shape), dtype=torch.float64)).view(shape)


def test_values_with_and_without_a_center():
    student, teacher = wave(torch.sin, 0.37, 4, 2, 8), wave(torch.cos, 0.21, 4, 8)
    targets = CenteredSoftmax(8, temperature=0.04).double()
    targets.stage(teacher)
    loss = ViewCrossEntropyLoss()(student, targets(teacher).unflatten(0, (2, -1)))
    assert_close(loss.item(), 8.192879, rtol=0, atol=5e-7)
    targets.update(0.5)
    center = [0.00591, 0.00667, 0.00713, 0.00727, 0.00710, 0.00662, 0.00584, 0.00481]
    assert_close(targets.center, torch.tensor([center], dtype=torch.float64), rtol=0, atol=5e-6)
    loss = ViewCrossEntropyLoss()(student, targets(teacher).unflatten(0, (2, -1)))
    assert_close(loss.item(), 8.200852, rtol=0, atol=1e-6)


@pytest.mark.parametrize(('views', 'globals_'), [(10, 2), (2, 2), (3, 1)])
def test_is_the_mean_over_pairs_of_different_views(views, globals_):
    logits = torch.randn(views, 5, 7, dtype=torch.float64, requires_grad=True)
    targets = torch.randn(globals_, 5, 7, dtype=torch.float64).softmax(dim=-1)
    pairs = [(i, j) for i in range(globals_) for j in range(views) if i != j]
    assert len(pairs) == globals_ * (views - 1)
    expected = torch.stack([cross_entropy(logits[j] / 0.1, targets[i]) for i, j in pairs]).mean()
    actual = view_cross_entropy(logits, targets, 0.1)
    assert_close(actual, expected)
    assert_close(*(torch.autograd.grad(loss, logits)[0] for loss in (actual, expected)))


def test_uniform_logits_give_the_logarithm_of_the_prototypes():
    logits, targets = torch.zeros(10, 1, 65536), torch.rand(2, 1, 65536).softmax(dim=-1)
    assert_close(view_cross_entropy(logits, targets, 0.1).item(), math.log(65536), rtol=1e-6, atol=0)


def test_computes_half_precision_logits_in_float32():
    logits, targets = (100 * torch.randn(4, 3, 9)).half(), torch.randn(2, 3, 9).softmax(dim=-1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = view_cross_entropy(logits, targets, 0.1)
    assert loss.dtype == torch.float32
    assert_close(loss, view_cross_entropy(logits.double(), targets.double(), 0.1).float())


class Sizes(TorchDispatchMode):
    """Keeps the number of elements of everything that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.sizes += [x.numel() for x in tree_leaves(result) if isinstance(x, Tensor)]
        return result


def test_no_tensor_is_larger_than_the_logits():
    logits, targets = torch.randn(10, 4, 64, requires_grad=True), torch.rand(2, 4, 64)
    saved: list[int] = []
    with Sizes() as made, saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x):
        view_cross_entropy(logits, targets, 0.1).backward()
    assert max(made.sizes) == logits.numel()
    assert sum(saved) < 2 * logits.numel()  # one of that size: the logarithms of the probabilities


@pytest.mark.parametrize(('views', 'globals_'), [(1, 1), (2, 3), (4, 0)])
def test_rejects(views, globals_):
    with pytest.raises(ValueError, match=f'got {views}, {globals_}'):
        view_cross_entropy(torch.zeros(views, 2, 3), torch.zeros(globals_, 2, 3), 0.1)
