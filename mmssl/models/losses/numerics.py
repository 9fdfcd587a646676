"""What every loss needs to be exact: full precision and the epsilon its paper's code uses."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from mmssl.distributed.collectives import sum_over_processes, world_size


def in_full_precision(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorates a loss to compute in float32 or better, whatever autocast says.

    Half precision arguments are cast to float32; float32 and float64 stay as they are. A softmax over thousands of
    logits, or a mean over a batch, is no place to save bits.

    Args:
        function: Takes tensors (and numbers) and returns a tensor; its first argument is a tensor.
    """

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Tensor:
        with torch.autocast(args[0].device.type, enabled=False):
            return function(*map(_widen, args), **{name: _widen(value) for name, value in kwargs.items()})

    return run


def _widen(value: Any) -> Any:
    is_half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if is_half else value


def l2_normalize(x: Tensor, eps: float = 1e-12) -> Tensor:
    """Rows of unit length as TensorFlow and JAX codes make them: ``x * rsqrt(max(sum(x^2), eps))``.

    ``torch.nn.functional.normalize`` bounds the length instead of its square; they differ for rows shorter than 1e-6.

    Args:
        x: (N, D).
        eps: Lower bound of the squared length.

    Returns:
        (N, D).
    """
    return x * x.square().sum(dim=1, keepdim=True).clamp(min=eps).rsqrt()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values that a mask selects, over the images of all processes.

    The number selected may differ between images and processes. Each process divides its sum by the mean number of all
    processes, so that the average of gradients that DDP takes is the gradient of the mean over the global batch; the
    official codes divide by the process's own number, which is the same where the number is constant.

    Args:
        values: (N, L).
        mask: (N, L) bool; selecting nothing at all gives 0.

    Returns:
        Scalar; its mean over the processes is the mean over the global batch.
    """
    weights = mask.to(values.dtype)
    count = sum_over_processes(weights.sum()) / world_size()
    return (values * weights).sum() / count.clamp(min=1 / world_size())
