"""Numerics that losses share: full precision, normalisation and the mean over masked values of all processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from mmssl.distributed.collectives import sum_over_processes, world_size


def in_full_precision(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorates a loss so that it computes in float32 or float64, also inside ``torch.autocast``.

    float16 and bfloat16 arguments are cast to float32; float32 and float64 are not changed. A softmax over thousands of
    logits and a mean over a batch lose too much accuracy in half precision.

    Args:
        function: Function of tensors and numbers that returns a tensor; its first argument is a tensor.
    """

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Tensor:
        with torch.autocast(args[0].device.type, enabled=False):
            return function(*map(widen, args), **{name: widen(value) for name, value in kwargs.items()})

    return run


def widen(value: Any) -> Any:
    """Casts a tensor of float16 or bfloat16 to float32, with gradient, and returns everything else unchanged."""
    is_half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if is_half else value


def check_temperature(temperature: float) -> None:
    """Checks the divisor of logits or similarities; a negative one would turn the loss around.

    Raises:
        ValueError: ``temperature`` is not positive.
    """
    if not temperature > 0:
        raise ValueError(f'temperature must be positive, got {temperature}')


def l2_normalize(x: Tensor, eps: float = 1e-12) -> Tensor:
    """Scales rows to unit length as ``tf.math.l2_normalize`` does: ``x * rsqrt(max(sum(x^2), eps))``.

    ``torch.nn.functional.normalize`` bounds the length instead of its square; the results differ for rows shorter than
    1e-6.

    Args:
        x: (N, D), rows to scale.
        eps: Lower bound of the squared length.

    Returns:
        (N, D).
    """
    return x * x.square().sum(dim=1, keepdim=True).clamp(min=eps).rsqrt()


def check_equal_shapes(predictions: Tensor, targets: Tensor) -> None:
    """Checks that every prediction has a target; torch would repeat a target of one patch for all patches.

    Raises:
        ValueError: Predictions and targets differ in shape.
    """
    if predictions.shape != targets.shape:
        raise ValueError(
            f'predictions {tuple(predictions.shape)} and targets {tuple(targets.shape)} differ in shape: the target '
            'must have as many patches as the student, and as many values per patch as the prediction'
        )


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values that a mask selects, over the images of all processes.

    The number of selected values may differ between images and processes. Each process divides its sum by the mean of
    this number over the processes, because DDP averages gradients: the result is then the gradient of the mean over the
    global batch. The official codes divide by the number of their own process, which is the same if the number is
    constant.

    Args:
        values: (N, L), one value per patch.
        mask: (N, L) bool, True = selected. If nothing is selected in any process, the mean is 0.

    Returns:
        Scalar whose average over the processes is the mean over the global batch.
    """
    weights = mask.to(values.dtype)
    count = sum_over_processes(weights.sum()) / world_size()
    return (values * weights).sum() / count.clamp(min=1 / world_size())
