"""The layer of AdderNet: an L1 distance instead of a convolution (Chen et al., 2020, arXiv:1912.13200)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmssl.models.layers import adder_tiles, adder_triton


def adder2d(images: Tensor, filters: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    r"""Negative L1 distance of every patch to every filter (Eq. 2): ``Y(u, t) = -sum_k |X(u, k) - F(t, k)|``.

    The backward pass does not compute the gradients of ``Y``. With the upstream gradient ``g``, filters get ``sum_u
    g(u, t) (X(u, k) - F(t, k))`` (Eq. 4), and images get ``sum_t g(u, t) clip(F(t, k) - X(u, k), -1, 1)`` (Eq. 5),
    summed over the patches that contain a pixel. The official code multiplies the filter gradient by the adaptive
    learning rate (Eq. 13) in the backward pass; here the optimizer does so, see ``mmssl.engine.optimizers.local_rate``.

    Only the images and the filters are saved for the backward pass, and no temporary tensor is larger than a few times
    the images, the output or a tile of fixed size. Triton kernels compute float32 tensors on a GPU if Triton is
    installed.

    Args:
        images: (N, C, H, W), float32 or float64.
        filters: (T, C, K, K), dtype of the images.
        stride: Stride in both directions, >= 1.
        padding: Width of the zero padding on every side, >= 0; padded zeros count as pixels of value 0.

    Returns:
        (N, T, H', W'), values <= 0, with ``H' = (H + 2 padding - K) // stride + 1``.

    Raises:
        ValueError: Filters and images differ in channels, or the filters are larger than the padded images.
        RuntimeError: The backward pass is called with ``create_graph=True``; second derivatives are not defined.
    """
    if filters.shape[1] != images.shape[1]:
        raise ValueError(f'filters have {filters.shape[1]} channels and images {images.shape[1]}')
    if min(images.shape[2:]) + 2 * padding < filters.shape[2]:
        size = f'{tuple(images.shape[2:])} pixels, padded by {padding}'
        raise ValueError(f'images of {size}, are smaller than filters of side {filters.shape[2]}')
    return _Adder2dFunction.apply(images, filters, stride, padding)


class Adder2d(nn.Module):
    """Module of ``adder2d`` with the filters ``adder`` (T, C, K, K), which are initialised from N(0, 1).

    It computes in float32 or float64, also under autocast, in training and in inference: sums reach thousands, where
    neighbouring float16 numbers differ by 1 to 4. Under autocast it also returns float32, otherwise the dtype of its
    input.

    ``param_options`` makes the optimizer use the paper's local learning rate with eta = 0.2 for the filters; a recipe
    overrides it with ``paramwise_cfg=dict(custom_keys={'.adder': dict(local_rate=0.1)})``. The official code also has a
    bias, which it does not use; this class has none.

    Args:
        in_channels: Number of input channels C.
        out_channels: Number of filters T.
        kernel_size: Side K of the filters.
        stride: Stride in both directions.
        padding: Width of the zero padding on every side.
    """

    param_options: ClassVar[dict[str, dict]] = {'adder': dict(local_rate=0.2)}
    """Name of a parameter -> options of its parameter group in an optimizer."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        self.stride = stride
        self.padding = padding
        self.adder = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, T, H', W') for images (N, C, H, W), see ``adder2d``."""
        dtype = torch.promote_types(images.dtype, torch.float32)
        output = adder2d(images.to(dtype), self.adder.to(dtype), self.stride, self.padding)
        device = images.device.type
        in_autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        return output if in_autocast else output.to(images.dtype)

    def extra_repr(self) -> str:
        """Returns the arguments for ``repr``."""
        outputs, inputs, kernel, _ = self.adder.shape
        return f'{inputs}, {outputs}, kernel_size={kernel}, stride={self.stride}, padding={self.padding}'


class _Adder2dFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(images, filters)
        ctx.geometry = stride, padding
        return torch.ops.mmssl.adder2d(images, filters, stride, padding)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():  # create_graph=True
            raise RuntimeError('adder layers have no second derivative: leave out create_graph=True')
        arguments = (grad.contiguous(), *ctx.saved_tensors, *ctx.geometry)
        of_images = torch.ops.mmssl.adder2d_input_gradient(*arguments) if ctx.needs_input_grad[0] else None
        of_filters = torch.ops.mmssl.adder2d_filter_gradient(*arguments) if ctx.needs_input_grad[1] else None
        return of_images, of_filters, None, None


def adder2d_of_plain_operations(images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    """Computes ``adder2d`` without an operator of mmssl, for programs that are exported.

    The largest temporary tensor has C times the size of the output.

    Args:
        images: (N, C, H, W), float32 or float64.
        filters: (T, C, K, K) of the same type.
        stride: Stride in both directions, >= 1.
        padding: Zeros on every side, >= 0.

    Returns:
        (N, T, H', W').
    """
    padded = nn.functional.pad(images, (padding,) * 4)
    _, _, height, width = _fake_output(images, filters, stride, padding).shape
    kernel, distances = filters.shape[2], []
    for row in range(kernel):
        for column in range(kernel):
            pixels = padded[:, :, row : row + stride * (height - 1) + 1 : stride]
            pixels = pixels[..., column : column + stride * (width - 1) + 1 : stride]
            distances.append((pixels.unsqueeze(1) - filters[:, :, row, column, None, None]).abs().sum(2))
    return -torch.stack(distances).sum(0)


def _kernels(images: Tensor) -> Any:
    fused = adder_triton.IS_AVAILABLE and images.is_cuda and images.dtype == torch.float32
    return adder_triton if fused else adder_tiles


@torch.no_grad()  # an exported network calls the operator with parameters that require a gradient
def _forward(images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    return _kernels(images).negative_l1(images, filters, stride, padding)


def _input_gradient(grad: Tensor, images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    return _kernels(images).input_gradient(grad, images, filters, stride, padding)


def _filter_gradient(grad: Tensor, images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    return _kernels(images).filter_gradient(grad, images, filters, stride, padding)


def _fake_output(images: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    sides = ((side + 2 * padding - filters.shape[2]) // stride + 1 for side in images.shape[2:])
    return images.new_empty(images.shape[0], filters.shape[0], *sides)


def _fake_input_gradient(grad: Tensor, images: Tensor, *others: Any) -> Tensor:
    return torch.empty_like(images, memory_format=torch.contiguous_format)


def _fake_filter_gradient(grad: Tensor, images: Tensor, filters: Tensor, *geometry: int) -> Tensor:
    return torch.empty_like(filters)


# As operators, so that compiled graphs and fake tensors contain one operation instead of a loop.
_LIBRARY = torch.library.Library('mmssl', 'FRAGMENT')
_GEOMETRY = 'Tensor images, Tensor filters, int stride, int padding'
for _name, _inputs, _function, _fake in (
    ('adder2d', _GEOMETRY, _forward, _fake_output),
    ('adder2d_input_gradient', f'Tensor grad, {_GEOMETRY}', _input_gradient, _fake_input_gradient),
    ('adder2d_filter_gradient', f'Tensor grad, {_GEOMETRY}', _filter_gradient, _fake_filter_gradient),
):
    _LIBRARY.define(f'{_name}({_inputs}) -> Tensor')
    _LIBRARY.impl(_name, _function, 'CompositeExplicitAutograd')
    torch.library.register_fake(f'mmssl::{_name}', _fake, lib=_LIBRARY)
