"""Memory of a forward and a backward pass: tensors kept in between, without computation, and the measured peak."""

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
    """Returns the bytes that a forward pass keeps for the backward pass, without the weights and the images.

    Only shapes are computed, with fake tensors, so it also works for a pass that does not fit into memory.

    Args:
        build: Function that builds the model.
        shape: Shape of a batch of images, (N, 3, H, W).
        as_matrix: Whether attention computes its matrix of scores instead of a fused kernel.
    """
    model, fake = build(), FakeTensorMode()
    model._apply(fake.from_tensor)  # tensors of the same shapes without data
    with fake, _attention(as_matrix):
        images = torch.empty(shape)
        with count_saved_bytes(model, images) as saved:
            outputs = model(images)  # keep them: a freed storage could be reused and be counted as the same one
        del outputs
    return saved.total


def peak_bytes(build: Callable[[], nn.Module], shape: tuple[int, ...], as_matrix: bool = False) -> int:
    """Returns the peak memory in bytes of a forward and a backward pass on the CPU, without the model and the images.

    Args:
        build: Function that builds the model, defined at the top level of a module, because another process calls it.
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
    """Returns the resident bytes of this process, or the peak so far if the system does not report them."""
    try:
        return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        return peak_memory(torch.device('cpu'))


@contextmanager
def _attention(as_matrix: bool) -> Iterator[None]:
    with sdpa_kernel(SDPBackend.MATH) if as_matrix else nullcontext():
        yield
