"""Faster kernels for compiled blocks on the CPU; docs/benchmarks.md has figures.

- Matrix products of float32: oneDNN's, with the bias added on the way, in place of MKL's, whose result torch first
  fills with the bias.
- The backward pass of short attention on bfloat16: torch's float32 kernel, which is faster there and rounds less.
"""

from __future__ import annotations

from operator import getitem
from typing import Any

import torch
from torch import Tensor, fx
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files

_ATEN = torch.ops.aten
_ATTENTION_BACKWARD = _ATEN._scaled_dot_product_flash_attention_for_cpu_backward.default
_LONG = 640  # queries: from about here on bfloat16 is as fast, and from 768, where torch takes larger tiles, faster


def onednn_addmm(bias: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """Returns ``a @ b + bias``, (M, N) and contiguous, from ``a`` (M, K), ``b`` (K, N) and ``bias`` (N,), all float32.

    Also an operator of torch, ``mmssl::onednn_addmm``, which compiled code calls. It has no gradient of its own.
    """
    if bias is not None:
        bias = bias.contiguous()  # oneDNN is given its address alone; factors come with their strides
    return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, 'none', [], '')


def _like_result(bias: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(a.shape[0], b.shape[1])


# Not by torch.library.custom_op, whose checks take longer at each call: 0.18 ms of a product of 25 ms.
_LIBRARY = torch.library.Library('mmssl', 'FRAGMENT')
_LIBRARY.define('onednn_addmm(Tensor? bias, Tensor a, Tensor b) -> Tensor')
_LIBRARY.impl('onednn_addmm', onednn_addmm, 'CPU')
torch.library.register_fake('mmssl::onednn_addmm', _like_result, lib=_LIBRARY)


class FasterCPUKernels(CustomGraphPass):
    """Puts the kernels into a graph of inductor, forward or backward, whose tensors are on the CPU."""

    def __call__(self, graph: fx.Graph) -> None:
        for node in list(graph.nodes):
            if node.op != 'call_function':
                continue
            if operands := _operands(node):
                _replace_product(graph, node, operands)
            elif _is_short_attention(node):
                _widen_attention(graph, node)

    def uuid(self) -> Any:
        """Identifies the pass in the cache of compiled code."""
        return get_hash_for_files((__file__,))


def inductor_options() -> dict[str, Any]:
    """Returns ``options`` of ``torch.compile`` which bring the kernels in; none where torch lacks oneDNN or MKL."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()):
        return {}
    return dict(post_grad_custom_post_pass=_PASS)


def _operands(node: fx.Node) -> tuple[fx.Node | None, fx.Node, fx.Node] | None:
    """Bias, and the two factors, if ``node`` is a product that oneDNN can take over."""
    arguments: Any = node.args
    if node.kwargs:  # alpha and beta of addmm
        return None
    if node.target is _ATEN.mm.default:
        bias, (a, b) = None, arguments
    elif node.target is _ATEN.addmm.default:
        bias, a, b = arguments
    else:
        return None
    values = [part.meta['val'] for part in (bias, a, b) if part is not None]
    plain = all(value.dtype == torch.float32 and value.device.type == 'cpu' and value.numel() for value in values)
    row = bias is None or tuple(bias.meta['val'].shape) == (b.meta['val'].shape[1],)
    return (bias, a, b) if plain and row else None


def _replace_product(graph: fx.Graph, node: fx.Node, operands: tuple[fx.Node | None, fx.Node, fx.Node]) -> None:
    with graph.inserting_before(node):
        product = graph.call_function(torch.ops.mmssl.onednn_addmm.default, operands)
    product.meta.update(node.meta)
    node.replace_all_uses_with(product)
    graph.erase_node(node)


def _is_short_attention(node: fx.Node) -> bool:
    if node.target is not _ATTENTION_BACKWARD:
        return False
    arguments: Any = node.args
    query = arguments[1].meta['val']  # (N, heads, L, channels)
    return query.dtype == torch.bfloat16 and query.shape[2] < _LONG


def _widen_attention(graph: fx.Graph, node: fx.Node) -> None:
    """Converts what ``node`` takes to float32, and the three gradients that it gives back to bfloat16."""
    with graph.inserting_before(node):
        node.args = tuple(_widened(graph, value) for value in node.args)
        node.kwargs = {name: _widened(graph, value) for name, value in node.kwargs.items()}
    node.meta['val'] = tuple(value.float() for value in node.meta['val'])
    for gradient in [user for user in node.users if user.target is getitem]:
        gradient.meta['val'] = gradient.meta['val'].float()
        users = list(gradient.users)
        with graph.inserting_after(gradient):
            narrow = _convert(graph, gradient, torch.bfloat16)
        for user in users:
            user.replace_input_with(gradient, narrow)


def _widened(graph: fx.Graph, argument: Any) -> Any:
    is_narrow = isinstance(argument, fx.Node) and argument.meta['val'].dtype == torch.bfloat16
    return _convert(graph, argument, torch.float32) if is_narrow else argument


def _convert(graph: fx.Graph, node: fx.Node, dtype: torch.dtype) -> fx.Node:
    converted = graph.call_function(torch.ops.prims.convert_element_type.default, (node, dtype))
    converted.meta['val'] = node.meta['val'].to(dtype)
    return converted


_PASS = FasterCPUKernels()  # the same for all blocks: code is shared between those with equal options
