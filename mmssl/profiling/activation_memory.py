"""Memory of a forward and a backward pass: what is kept in between, without running it, and the peak of a real one."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmssl.profiling.machine import peak_memory
from mmssl.profiling.saved_bytes import count_saved_bytes


def kept_bytes(build: Callable[[], nn.Module], shape: tuple[int, ...], as_matrix: bool = False) -> int:
    """Returns the bytes that a training forward pass keeps for the backward pass beside the weights and the images.

    Shapes are followed and nothing is computed, so the figure of a pass that fits nowhere can be had as well.

    Args:
        build: Makes the model.
        shape: Shape of a batch of images, (N, 3, H, W).
        as_matrix: Whether attention computes its matrix of scores instead of a fused kernel.
    """
    model, fake = build(), FakeTensorMode()
    model._apply(fake.from_tensor)  # tensors of the same shapes that hold nothing
    with fake, _attention(as_matrix):
        images = torch.empty(shape)
        with count_saved_bytes(model, images) as saved:
            outputs = model(images)  # keep them: a freed storage could be reused and be counted as the same one
        del outputs
    return saved.total


def peak_bytes(build: Callable[[], nn.Module], shape: tuple[int, ...], as_matrix: bool = False) -> int:
    """Returns the most memory that a forward and a backward pass on the CPU take beyond the model and the images.

    Args:
        build: Makes the model; a function of a module, since another process calls it.
        shape: Shape of a batch of images, (N, 3, H, W).
        as_matrix: Whether attention computes its matrix of scores instead of a fused kernel.
    """
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.apply(_run, (build, shape, as_matrix))


def _run(build: Callable[[], nn.Module], shape: tuple[int, ...], as_matrix: bool) -> int:
    torch.set_num_threads(1)
    model, images = build(), torch.randn(shape)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = _resident()
    with _attention(as_matrix):
        outputs = model(images)
        sum(output.sum() for output in outputs).backward()
    return peak_memory(torch.device('cpu')) - before


def _resident() -> int:
    """Bytes that are resident now, or where the system does not tell, the most so far."""
    try:
        return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        return peak_memory(torch.device('cpu'))


@contextmanager
def _attention(as_matrix: bool) -> Iterator[None]:
    with sdpa_kernel(SDPBackend.MATH) if as_matrix else nullcontext():
        yield
