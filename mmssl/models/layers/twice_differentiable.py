"""Precision and kernels for gradients of gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def twice_differentiable(device_type: str) -> Iterator[None]:
    """Disables autocast, and selects the attention kernel that can be differentiated twice, in a ``with`` block.

    Gradients with respect to pixels are of the order of 1e-7, too small for float16, and their products are smaller.

    Args:
        device_type: Type of the device that computes, such as ``'cuda'``.
    """
    with torch.autocast(device_type, enabled=False), sdpa_kernel(SDPBackend.MATH):
        yield
