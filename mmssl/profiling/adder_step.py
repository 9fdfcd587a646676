"""Cost of a step of an adder network, compared with straightforward forms of its layer and with convolutions."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import torch
from mmengine.device import get_device
from torch import Tensor, nn
from torch.nn.functional import fold, unfold

from mmssl.models.backbones.adder_resnet import AdderResNet
from mmssl.models.layers.adder2d import Adder2d
from mmssl.profiling.allocator import peak_allocated
from mmssl.profiling.timing import Task, Tasks, time_in_turns

KINDS = ('adder', 'cdist', 'broadcast', 'convolution')
_RATIOS = {
    'adder_over_cdist': ('adder', 'cdist'),
    'adder_over_broadcast': ('adder', 'broadcast'),
    'adder_over_convolution': ('adder', 'convolution'),
}


def build(kind: str, depth: int) -> AdderResNet:
    """Builds a network whose layers are of one of ``KINDS``; the weights of the first three are the same."""
    torch.manual_seed(0)
    network = AdderResNet(depth, adder=kind != 'convolution')
    if kind in ('cdist', 'broadcast'):
        for parent in list(network.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, Adder2d):
                    setattr(parent, name, StraightforwardAdder2d(layer, kind))
    return network


def measure_adder_step(depth: int = 20, batch_size: int = 32, size: int = 32, repeats: int = 5) -> dict[str, Any]:
    """Measures forward and backward pass of one network with four kinds of layers, in turns.

    Images are noise. The optimizer is not measured, because its time is the same for all kinds and would move the
    ratios towards 1.

    Args:
        depth: Depth of the ``AdderResNet``.
        batch_size: Number of images of a step.
        size: Side of the images in pixels.
        repeats: Number of measurements; all figures are medians.

    Returns:
        ``wall`` and ``processor``: for each clock (see ``time_in_turns``) ``seconds`` per kind and the medians of the
        ratios within a round. Kinds: ``adder``, the layer of mmssl; ``cdist``, the patches of all images at once,
        ``torch.cdist``, the filter gradient by a matrix product and the input gradient by all differences at once;
        ``broadcast``, all differences at once for all three; ``convolution``. ``depth``, ``batch_size``, ``size``,
        ``device``, ``threads``.
    """
    device = torch.device(get_device())
    images = torch.randn(batch_size, 3, size, size, device=device)
    tasks: Tasks = {}
    for kind in KINDS:
        network = build(kind, depth).to(device)
        tasks[kind] = Task(partial(network.zero_grad, set_to_none=True), partial(_step, network, images))
    laps = time_in_turns(tasks, repeats, device)
    clocks = {}
    for clock, name in enumerate(('wall', 'processor')):
        rounds = [{task: lap[task][clock] for task in tasks} for lap in laps]
        ratios = {
            ratio: statistics.median(lap[above] / lap[below] for lap in rounds)
            for ratio, (above, below) in _RATIOS.items()
        }
        clocks[name] = dict(seconds={task: statistics.median(lap[task] for lap in rounds) for task in tasks}, **ratios)
    described = torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type
    threads = torch.get_num_threads()
    return dict(**clocks, depth=depth, batch_size=batch_size, size=size, device=described, threads=threads)


def measure_adder_memory(depth: int = 20, batch_size: int = 32, size: int = 32) -> dict[str, int]:
    """Returns the peak of bytes that a step allocates, per kind, without network, gradients and images.

    Args:
        depth: Depth of the ``AdderResNet``.
        batch_size: Number of images of a step.
        size: Side of the images in pixels.
    """
    device = get_device()
    images = torch.randn(batch_size, 3, size, size, device=device)
    peaks = {}
    for kind in KINDS:
        network = build(kind, depth).to(device)
        for param in network.parameters():
            param.grad = torch.zeros_like(param)
        peaks[kind] = peak_allocated(partial(_step, network, images), device)
    return peaks


def _step(network: nn.Module, images: Tensor) -> None:
    (output,) = network(images)
    output.mean((2, 3)).square().mean().backward()


class StraightforwardAdder2d(nn.Module):
    """The adder layer computed directly by its equations, for comparison.

    Args:
        layer: Layer whose filters, stride and padding are used.
        form: Form: ``'cdist'`` or ``'broadcast'``, see ``measure_adder_step``.
    """

    def __init__(self, layer: Adder2d, form: str) -> None:
        super().__init__()
        self.adder = layer.adder
        self.geometry = dict(stride=layer.stride, padding=layer.padding)
        self.form = form

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, T, H', W') for images (N, C, H, W)."""
        kernel = self.adder.shape[2]
        sides = (
            (side + 2 * self.geometry['padding'] - kernel) // self.geometry['stride'] + 1 for side in images.shape[2:]
        )
        patches = _Patches.apply(images, kernel, self.geometry)  # (elements, positions), images last
        output = _Straightforward.apply(patches, self.adder.flatten(1), self.form)  # (T, positions)
        return output.view(len(self.adder), *sides, len(images)).permute(3, 0, 1, 2).contiguous()


class _Patches(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, kernel: int, geometry: dict[str, int]) -> Tensor:
        ctx.shape, ctx.kernel, ctx.geometry = images.shape, kernel, geometry
        return unfold(images, kernel, **geometry).permute(1, 2, 0).flatten(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        columns = grad.unflatten(1, (-1, ctx.shape[0])).permute(2, 0, 1)
        return fold(columns, ctx.shape[2:], ctx.kernel, **ctx.geometry), None, None


class _Straightforward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, patches: Tensor, filters: Tensor, form: str) -> Tensor:
        ctx.save_for_backward(patches, filters)
        ctx.form = form
        if form == 'cdist':
            return -torch.cdist(filters, patches.t(), 1)
        return -(filters[:, :, None] - patches).abs_().sum(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        patches, filters = ctx.saved_tensors
        differences = filters[:, :, None] - patches  # (T, elements, positions)
        if ctx.form == 'cdist':
            of_filters = grad @ patches.t() - filters * grad.sum(1, keepdim=True)
        else:
            of_filters = -(differences * grad[:, None]).sum(2)
        of_patches = differences.clamp_(-1, 1).mul_(grad[:, None]).sum(0)
        return of_patches, of_filters, None
