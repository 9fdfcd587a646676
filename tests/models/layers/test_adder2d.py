"""The L1 layer: values, both gradients, types, memory, and the kernels for GPUs in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import fold, unfold
from torch.testing import assert_close

from mmssl.models.layers.adder2d import Adder2d, adder2d
from mmssl.profiling.allocator import peak_allocated
from mmssl.profiling.saved_bytes import count_saved_bytes

# images, filters, stride, padding; the last three are cut into blocks of channels, images and positions
GEOMETRIES = [
    ((2, 4, 7, 6), (3, 4, 3, 3), 1, 1),
    ((2, 4, 7, 6), (3, 4, 3, 3), 2, 1),
    ((2, 4, 7, 6), (3, 4, 3, 3), 1, 0),
    ((2, 4, 7, 6), (3, 4, 1, 1), 2, 0),
    ((3, 40, 5, 5), (7, 40, 3, 3), 1, 1),
    ((130, 2, 6, 7), (5, 2, 3, 3), 2, 1),
    ((1, 2, 72, 96), (3, 2, 5, 5), 1, 2),
]


def _reference(images: Tensor, filters: Tensor, grad: Tensor, stride: int, padding: int) -> tuple[Tensor, ...]:
    """Output and both gradients, element by element of every patch and filter."""
    kernel = filters.shape[2]
    patches = unfold(images, kernel, padding=padding, stride=stride)[:, None]  # (N, 1, elements, positions)
    differences = filters.flatten(1)[None, :, :, None] - patches  # (N, T, elements, positions)
    output = -differences.abs().sum(2).view(grad.shape)
    weights = grad.flatten(2)[:, :, None]
    of_filters = -(differences * weights).sum((0, 3)).view_as(filters)
    of_patches = (differences.clamp(-1, 1) * weights).sum(1)
    return output, fold(of_patches, images.shape[2:], kernel, padding=padding, stride=stride), of_filters


@pytest.mark.parametrize(('shape', 'filter_shape', 'stride', 'padding'), GEOMETRIES)
def test_output_and_gradients_are_those_of_the_sums_over_elements(shape, filter_shape, stride, padding):
    images = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    filters = torch.randn(filter_shape, dtype=torch.float64, requires_grad=True)
    output = adder2d(images, filters, stride, padding)
    grad = torch.randn_like(output)
    output.backward(grad)
    expected = _reference(images.detach(), filters.detach(), grad, stride, padding)
    assert output.max() <= 0 and output.is_contiguous()
    for found, value in zip((output, images.grad, filters.grad), expected):
        assert_close(found, value, rtol=1e-12, atol=1e-11)


def test_a_filter_of_one_element_by_hand():
    images = torch.tensor([3.0, 0.5]).view(1, 1, 1, 2).requires_grad_()
    filters = torch.ones(1, 1, 1, 1, requires_grad=True)
    output = adder2d(images, filters)
    output.sum().backward()
    assert output.flatten().tolist() == [-2.0, -0.5]
    assert filters.grad.item() == 1.5 and images.grad.flatten().tolist() == [-1.0, 0.5]


def test_a_patch_that_equals_a_filter_has_distance_0():
    images = torch.randn(1, 7, 3, 3)
    assert adder2d(images, images).abs().item() < 1e-5


def test_the_statistics_of_unit_normals():
    output = adder2d(torch.randn(64, 16, 8, 8), torch.randn(64, 16, 3, 3))
    assert output.mean().item() == pytest.approx(-162.5, abs=1)
    assert output.var().item() == pytest.approx(104.7, abs=6)


def test_float32_is_as_exact_as_summing_differences():
    images, filters = torch.randn(8, 64, 8, 8), torch.randn(32, 64, 3, 3)
    exact = adder2d(images.double(), filters.double(), 1, 1)
    assert ((adder2d(images, filters, 1, 1) - exact).abs() / exact.abs()).max() < 2e-6


def test_other_memory_formats_and_empty_batches():
    images, filters = torch.randn(2, 4, 6, 6), torch.randn(3, 4, 3, 3)
    last = images.contiguous(memory_format=torch.channels_last).requires_grad_()
    output = adder2d(last, filters, 1, 1)
    assert torch.equal(output, adder2d(images, filters, 1, 1))
    output.permute(0, 2, 3, 1).sum().backward()
    assert last.grad.shape == images.shape
    assert adder2d(images[:0], filters).shape == (0, 3, 4, 4)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match='filters have 3 channels and images 4'):
        adder2d(torch.zeros(1, 4, 8, 8), torch.zeros(2, 3, 3, 3))
    with pytest.raises(ValueError, match='smaller than filters of side 5'):
        adder2d(torch.zeros(1, 3, 2, 8), torch.zeros(2, 3, 5, 5), padding=1)


def test_there_is_no_gradient_of_the_gradients():
    images = torch.randn(1, 2, 4, 4, requires_grad=True)
    output = Adder2d(2, 3, 3)(images).sum()
    with pytest.raises(RuntimeError, match='no second derivative'):
        torch.autograd.grad(output, images, create_graph=True)


def test_autocast_and_half_precision_leave_the_sums_in_float32():
    layer, images = Adder2d(64, 8, 3), torch.randn(2, 64, 6, 6)
    exact = layer(images)
    with torch.autocast('cpu', dtype=torch.bfloat16), torch.inference_mode():
        assert torch.equal(layer(images), exact)
        rounded = layer(images.bfloat16())
    assert rounded.dtype == torch.float32
    assert_close(rounded, adder2d(images.bfloat16().float(), layer.adder), rtol=0, atol=0)
    half = layer.bfloat16()(images.bfloat16())
    assert half.dtype == torch.bfloat16 and ((half.float() - exact).abs() / exact.abs()).max() < 0.02


@pytest.mark.parametrize('num_filters', [8, 64])
def test_memory_is_that_of_input_output_and_filters(num_filters):
    layer = Adder2d(16, num_filters, 3, padding=1)
    images = torch.randn(16, 16, 24, 24, requires_grad=True)

    def step() -> None:
        with count_saved_bytes(layer, images) as saved:
            output = layer(images)
        output.backward(torch.ones_like(output))
        assert saved.total == 0  # images and filters, which are there anyway

    sizes = images.numel() + 16 * num_filters * 24 * 24 + layer.adder.numel()
    tiles = 4 * 288 * 2**10  # a tile, its result, and differences
    assert peak_allocated(step) <= 4 * 4 * sizes + tiles  # all pairs would take 9 * 16 times the output


def test_one_operation_for_tensors_without_values_and_in_compiled_graphs():
    layer = Adder2d(3, 5, 3, stride=2, padding=1)
    with FakeTensorMode(allow_non_fake_inputs=True):
        images = torch.empty(2, 3, 9, 8, requires_grad=True)
        output = layer(images)
        output.sum().backward()
        assert output.shape == (2, 5, 5, 4) and images.grad.shape == images.shape
    compiled = torch.compile(layer, backend='aot_eager', fullgraph=True)
    images = torch.randn(2, 3, 9, 8)
    assert torch.equal(compiled(images), layer(images))


_INTERPRETED = """
import torch
from mmssl.models.layers import adder_tiles, adder_triton
for images, filters, stride, padding in ((2, 4, 7, 6), (3, 4, 3, 3), 2, 1), ((2, 5, 5, 6), (34, 5, 3, 3), 1, 1):
    x, f = torch.randn(images), torch.randn(filters)
    y = adder_tiles.negative_l1(x, f, stride, padding)
    g = torch.randn_like(y)
    for name, args in ('negative_l1', (x, f)), ('input_gradient', (g, x, f)), ('filter_gradient', (g, x, f)):
        found, expected = (getattr(code, name)(*args, stride, padding) for code in (adder_triton, adder_tiles))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        print(name)
"""


@pytest.mark.skipif(find_spec('triton') is None, reason='Triton is not installed')
def test_the_kernels_for_gpus_agree_in_tritons_interpreter():
    options = dict(cwd=Path(__file__).parents[3], env={**os.environ, 'TRITON_INTERPRET': '1'})
    run = subprocess.run([sys.executable, '-c', _INTERPRETED], capture_output=True, text=True, **options)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == 2 * ['negative_l1', 'input_gradient', 'filter_gradient']


@pytest.mark.gpu
@pytest.mark.skipif(find_spec('triton') is None, reason='Triton is not installed')
@pytest.mark.parametrize(('shape', 'filter_shape', 'stride', 'padding'), GEOMETRIES)
def test_the_kernels_on_a_gpu_agree_with_the_cpu(shape, filter_shape, stride, padding):
    images, filters = torch.randn(shape), torch.randn(filter_shape)
    grad, results = torch.randn_like(adder2d(images, filters, stride, padding)), []
    for device in ('cpu', 'cuda'):
        tensors = [tensor.to(device).requires_grad_() for tensor in (images, filters)]
        output = adder2d(*tensors, stride, padding)
        output.backward(grad.to(device))
        results.append([tensor.detach().cpu() for tensor in (output, tensors[0].grad, tensors[1].grad)])
    assert_close(results[1], results[0], rtol=1e-4, atol=1e-3)
