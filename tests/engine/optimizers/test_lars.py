from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmssl.engine.optimizers.lars import LARS


@pytest.mark.parametrize(
    ('lr_mode', 'expected'),
    [('post', [2.9931929638, 3.9946477494]), ('classic', [2.9918429638, 3.9928477494])],
)
def test_two_steps_with_a_changing_lr(lr_mode: str, expected: list[float]) -> None:
    w = torch.tensor([[3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    optimizer = LARS([w], lr=1.0, weight_decay=0.1, lr_mode=lr_mode)
    for lr, grad in ((1.0, [[0.6, 0.8]]), (0.5, [[0.8, -0.6]])):
        optimizer.param_groups[0]['lr'] = lr
        w.grad = torch.tensor(grad, dtype=torch.float64)
        optimizer.step()
    torch.testing.assert_close(w.detach()[0], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-10)


def test_larc_adds_the_norms_and_leaves_nothing_out() -> None:
    w = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(2, requires_grad=True)
    still = torch.ones(2, requires_grad=True)
    optimizer = LARS([w, zero, still], lr=1.0, weight_decay=0.1, ratio='larc', excluded=False)
    zero.grad, still.grad = torch.tensor([1.0, 2.0]), torch.zeros(2)
    for lr, grad in ((1.0, [0.6, 0.8]), (0.5, [0.8, -0.6])):
        optimizer.param_groups[0]['lr'] = lr
        w.grad = torch.tensor(grad, dtype=torch.float64)
        optimizer.step()
        zero.grad = None
    expected = torch.tensor([2.9938183890, 3.9945337773], dtype=torch.float64)
    torch.testing.assert_close(w.detach(), expected, rtol=0, atol=1e-10)
    assert torch.equal(zero.detach(), torch.tensor([-1.0, -2.0]))  # a weight of norm 0 takes the gradient itself
    assert torch.equal(still.detach(), torch.ones(2))  # a gradient of norm 0 decays nothing


@pytest.mark.parametrize('lr_mode', ['post', 'classic'])
def test_one_dimension_is_plain_momentum_sgd(lr_mode: str) -> None:
    ours, theirs = (torch.tensor([1.0, -2.0], requires_grad=True) for _ in range(2))
    scalar = torch.tensor(3.0, requires_grad=True)
    lars = LARS([ours, scalar], lr=0.1, weight_decay=0.5, lr_mode=lr_mode)
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=0.9)
    for grad in ([1.0, 2.0], [-3.0, 0.5]):
        ours.grad = theirs.grad = torch.tensor(grad)
        scalar.grad = torch.tensor(1.0)
        lars.step()
        sgd.step()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(scalar.detach(), torch.tensor(3.0 - 0.1 * (1 + 1.9)))


def test_ratio_is_one_where_a_norm_is_zero() -> None:
    zero_weight = torch.zeros(1, 2, requires_grad=True)
    zero_weight.grad = torch.tensor([[1.0, 2.0]])
    zero_grad = torch.ones(1, 2, requires_grad=True)
    zero_grad.grad = torch.zeros(1, 2)
    without = torch.ones(1, 2, requires_grad=True)
    optimizer = LARS([zero_weight, zero_grad, without], lr=0.1)
    optimizer.step()
    torch.testing.assert_close(zero_weight.detach(), torch.tensor([[-0.1, -0.2]]))
    assert torch.equal(zero_grad.detach(), torch.ones(1, 2))
    assert without not in optimizer.state


def test_a_group_may_override_the_rule() -> None:
    bias = torch.tensor([3.0, 4.0], requires_grad=True)
    kernel = torch.tensor([[3.0, 4.0]], requires_grad=True)
    bias.grad, kernel.grad = torch.tensor([0.6, 0.8]), torch.tensor([[0.6, 0.8]])
    groups = [dict(params=[bias], excluded=False), dict(params=[kernel], excluded=True)]
    LARS(groups, lr=1.0, trust_coefficient=0.1).step()
    torch.testing.assert_close(bias.detach(), torch.tensor([2.7, 3.6]))  # ratio 0.1 * 5 / 1
    torch.testing.assert_close(kernel.detach(), torch.tensor([[2.4, 3.2]]))


def test_state_dict_round_trip_continues_alike() -> None:
    def parameter() -> torch.Tensor:
        return torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)

    first, second = parameter(), parameter()
    optimizer, copy = LARS([first], lr=1.0), LARS([second], lr=1.0)
    first.grad = torch.tensor([[0.5, 1.0], [0.0, -1.0]])
    optimizer.step()
    second.data.copy_(first.data)
    copy.load_state_dict(deepcopy(optimizer.state_dict()))
    second.grad = first.grad.clone()
    optimizer.step()
    copy.step()
    assert torch.equal(first, second)


class LargestResult(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that an operator allocates."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage().data_ptr() not in given:
                self.elements = max(self.elements, leaf.numel())
        return result


@pytest.mark.parametrize('ratio', ['lars', 'larc'])
def test_a_step_allocates_no_tensor_as_large_as_a_parameter(ratio: str) -> None:
    params = [torch.ones(32, 32, requires_grad=True) for _ in range(3)]
    optimizer = LARS(params, lr=0.1, weight_decay=0.1, ratio=ratio)
    for _ in range(2):  # the first step makes the buffers
        for param in params:
            param.grad = torch.ones(32, 32)
        with LargestResult() as largest:
            optimizer.step()
    assert largest.elements <= len(params)


@pytest.mark.parametrize(
    'wrong', [dict(lr=-1.0), dict(lr=1.0, lr_mode='pre'), dict(lr=1.0, ratio='lamb'), dict(lr=1.0, momentum=1.0)]
)
def test_rejects(wrong: dict) -> None:
    with pytest.raises(ValueError, match='got'):
        LARS([torch.ones(1, requires_grad=True)], **wrong)


@pytest.mark.parametrize('ratio', ['lars', 'larc'])
def test_reads_nothing_back_from_the_device(ratio: str) -> None:
    with FakeTensorMode():  # tensors without values: reading one is an error
        weight, bias = torch.ones(2, 3, requires_grad=True), torch.ones(3, requires_grad=True)
        optimizer = LARS([weight, bias], lr=0.1, weight_decay=0.1, ratio=ratio)
        for _ in range(2):
            weight.grad, bias.grad = torch.ones(2, 3), torch.ones(3)
            optimizer.step()
        with pytest.raises(DataDependentOutputException):
            weight.sum().item()
