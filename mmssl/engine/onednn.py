"""Matrix products of compiled blocks on the CPU: oneDNN's, with the bias added on the way, in place of MKL's.

For float32 torch calls MKL, which first fills the result with the bias and is slow for some shapes. oneDNN, which torch
has for bfloat16 and for inference, takes less time for the products of a transformer block; docs/benchmarks.md has
figures.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files

_ATEN = torch.ops.aten


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


class OneDNNProducts(CustomGraphPass):
    """Replaces ``mm`` and ``addmm`` on float32 CPU tensors in a graph of inductor, forward or backward, by oneDNN's."""

    def __call__(self, graph: fx.Graph) -> None:
        for node in list(graph.nodes):
            operands = _operands(node)
            if operands is None:
                continue
            with graph.inserting_before(node):
                product = graph.call_function(torch.ops.mmssl.onednn_addmm.default, operands)
            product.meta.update(node.meta)
            node.replace_all_uses_with(product)
            graph.erase_node(node)

    def uuid(self) -> Any:
        """Identifies the pass in the cache of compiled code."""
        return get_hash_for_files((__file__,))


def inductor_options() -> dict[str, Any]:
    """Returns ``options`` of ``torch.compile`` which bring oneDNN in; none where torch lacks it, or has no MKL."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()):
        return {}
    return dict(post_grad_custom_post_pass=_PASS)


def _operands(node: fx.Node) -> tuple[fx.Node | None, fx.Node, fx.Node] | None:
    """Bias, and the two factors, if ``node`` is a product that oneDNN can take over."""
    if node.op != 'call_function' or node.kwargs:  # alpha and beta of addmm are keywords
        return None
    if node.target is _ATEN.mm.default:
        bias, (a, b) = None, node.args
    elif node.target is _ATEN.addmm.default:
        bias, a, b = node.args
    else:
        return None
    values = [part.meta['val'] for part in (bias, a, b) if part is not None]
    plain = all(value.dtype == torch.float32 and value.device.type == 'cpu' and value.numel() for value in values)
    row = bias is None or tuple(bias.meta['val'].shape) == (b.meta['val'].shape[1],)
    return (bias, a, b) if plain and row else None


_PASS = OneDNNProducts()  # the same for all blocks: code is shared between those with equal options
