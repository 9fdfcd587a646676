"""Kernels of compiled blocks on the CPU: what is replaced, that the numbers are the same, and how to be without."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from mmssl.engine.blocks import compile_blocks
from mmssl.engine.cpu_kernels import FasterCPUKernels, inductor_options, onednn_addmm

ATEN = torch.ops.aten
ONEDNN = torch.ops.mmssl.onednn_addmm.default

pytestmark = pytest.mark.skipif(not inductor_options(), reason='this torch has no oneDNN beside MKL')


class _Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.GELU()))


_randn = partial(torch.randn, dtype=torch.float32)
LAYOUTS: dict[str, Any] = {
    'contiguous': lambda m, n: _randn(m, n),
    'transposed': lambda m, n: _randn(n, m).t(),
    'every second': lambda m, n: _randn(2 * m, 2 * n)[::2, ::2],
    'part of a matrix': lambda m, n: _randn(m + 3, n + 5)[2 : m + 2, 3 : n + 3],
    'row expanded': lambda m, n: _randn(1, n).expand(m, n),
    'column expanded': lambda m, n: _randn(m, 1).expand(m, n),
}
BIASES: dict[str, Any] = {
    'none': lambda n: None,
    'contiguous': lambda n: _randn(n),
    'every second': lambda n: _randn(2 * n)[::2],
    'expanded': lambda n: _randn(1).expand(n),
}


@pytest.mark.parametrize('second', LAYOUTS)
@pytest.mark.parametrize('first', LAYOUTS)
def test_every_layout_gives_the_product(first: str, second: str) -> None:
    a, b = LAYOUTS[first](37, 23), LAYOUTS[second](23, 19)
    for make in BIASES.values():
        bias = make(19)
        product = onednn_addmm(bias, a, b)
        expected = a.double() @ b.double() + (0 if bias is None else bias.double())
        torch.testing.assert_close(product.double(), expected, rtol=1e-5, atol=1e-5)
        assert product.is_contiguous()


def test_the_operator_is_what_it_says() -> None:
    a, b = (_randn(*shape) for shape in ((5, 3), (3, 4)))
    torch.library.opcheck(ONEDNN, (None, a, b), test_utils=('test_schema', 'test_faketensor'))


def _gradients(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    weight, bias = weight.requires_grad_(), bias.requires_grad_()
    return torch.autograd.grad(nn.functional.linear(x, weight, bias).square().sum(), [weight, bias])


def test_products_of_a_linear_layer_are_replaced_forward_and_backward() -> None:
    inputs = [_randn(*shape) for shape in ((5, 3), (4, 3), (4,))]
    graph = make_fx(_gradients, tracing_mode='fake')(*inputs)
    expected = graph(*inputs)
    FasterCPUKernels()(graph.graph)
    graph.recompile()
    targets = [node.target for node in graph.graph.nodes]
    assert targets.count(ONEDNN) == 2  # the layer and the gradient of its weight
    assert not {torch.ops.aten.mm.default, torch.ops.aten.addmm.default} & set(targets)
    torch.testing.assert_close(graph(*inputs), expected)


@pytest.mark.parametrize(
    'function, shapes, dtype',
    [
        (torch.mm, [(5, 3), (3, 4)], torch.float64),
        (torch.mm, [(5, 3), (3, 4)], torch.bfloat16),
        (torch.mm, [(0, 3), (3, 4)], torch.float32),
        (torch.addmm, [(5, 4), (5, 3), (3, 4)], torch.float32),
        (torch.addmm, [(1,), (5, 3), (3, 4)], torch.float32),
        (lambda *x: torch.addmm(*x, alpha=2.0), [(4,), (5, 3), (3, 4)], torch.float32),
    ],
    ids=['float64', 'bfloat16', 'empty', 'matrix added', 'scalar added', 'scaled'],
)
def test_other_products_stay(function: Any, shapes: list[tuple[int, ...]], dtype: torch.dtype) -> None:
    graph = make_fx(function, tracing_mode='fake')(*(torch.randn(*shape).to(dtype) for shape in shapes))
    before = graph.code
    FasterCPUKernels()(graph.graph)
    graph.recompile()
    assert graph.code == before


def _attention_backward(gradient: Tensor, *qkv: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
    out, log = ATEN._scaled_dot_product_flash_attention_for_cpu(*qkv, attn_mask=mask)
    return ATEN._scaled_dot_product_flash_attention_for_cpu_backward(
        gradient, *qkv, out, log, 0.0, False, attn_mask=mask
    )


@pytest.mark.parametrize('with_mask', [False, True])
def test_the_backward_pass_of_bfloat16_attention_rounds_less(with_mask: bool) -> None:
    inputs = [_randn(2, 3, 70, 8).bfloat16() for _ in range(4)]
    mask = _randn(1, 1, 70, 70).bfloat16() if with_mask else None
    graph = make_fx(partial(_attention_backward, mask=mask), tracing_mode='fake', _allow_non_fake_inputs=True)(*inputs)
    before = graph(*inputs)
    FasterCPUKernels()(graph.graph)
    graph.graph.lint()
    graph.recompile()
    after = graph(*inputs)
    exact = _attention_backward(*(x.double() for x in inputs), mask=None if mask is None else mask.double())
    assert {x.dtype for x in after} == {torch.bfloat16}
    for old, new, reference in zip(before, after, exact, strict=True):
        assert (new - reference).norm() < 0.99 * (old - reference).norm() < 0.01 * reference.norm()


@pytest.mark.parametrize('length, dtype', [(640, torch.bfloat16), (70, torch.float32)], ids=['long', 'float32'])
def test_other_attention_stays(length: int, dtype: torch.dtype) -> None:
    graph = make_fx(_attention_backward, tracing_mode='fake')(*(_randn(1, 1, length, 8).to(dtype) for _ in range(4)))
    before = graph.code
    FasterCPUKernels()(graph.graph)
    graph.recompile()
    assert graph.code == before


@pytest.mark.parametrize(
    'options, replaced',
    [
        ({}, True),
        (dict(backend='inductor', options=dict(max_autotune=True)), True),
        (dict(options=dict(post_grad_custom_post_pass=None)), False),
        (dict(mode='max-autotune'), False),
        (dict(backend='aot_eager'), False),
    ],
    ids=['default', 'own options', 'own pass', 'mode', 'backend'],
)
def test_who_asks_for_something_else_gets_it(
    options: dict[str, Any], replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(nn.Module, 'compile', lambda self, **kwargs: calls.append(kwargs))
    compile_blocks(_Blocks(), **options)
    (got,) = calls
    inner = got.pop('options', {})
    assert isinstance(inner.get('post_grad_custom_post_pass'), FasterCPUKernels) == replaced
    expected = dict(options, dynamic=False)
    own = expected.pop('options', {})
    assert own.items() <= inner.items() and got == expected


def test_blocks_elsewhere_than_on_the_cpu_keep_their_products(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(nn.Module, 'compile', lambda self, **kwargs: calls.append(kwargs))
    compile_blocks(_Blocks().to('meta'))
    assert calls == [dict(dynamic=False)]
