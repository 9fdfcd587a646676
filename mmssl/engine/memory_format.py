"""The memory format of convolutions: channels last or contiguous."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmssl.config.memory_format import memory_format


def choose_memory_format(setting: str | None, model: nn.Module) -> torch.memory_format:
    """Returns the memory format of a model for a value of the config key ``memory_format``.

    ``'auto'`` is channels last if most layers with weight matrices are convolutions of float32 or less. It is
    contiguous for transformers and adder networks, which gain nothing, and in float64, which is for comparisons to the
    last digits.

    Args:
        setting: ``'auto'``, ``'channels_last'``, ``'contiguous'``, or None for ``'auto'``.
        model: Algorithm, without the wrapper of distributed training.
    """
    chosen = memory_format(setting)
    if chosen is not None:
        return chosen
    return torch.channels_last if _is_convolutional(getattr(model, 'backbone', None)) else torch.contiguous_format


def _is_convolutional(backbone: nn.Module | None) -> bool:
    if backbone is None:
        return False
    layers = [m for m in backbone.modules() if any(p.ndim > 1 for p in m.parameters(recurse=False))]
    convolutions = [m for m in layers if isinstance(m, nn.Conv2d) and m.weight.dtype != torch.float64]
    return len(convolutions) > len(layers) / 2


def set_memory_format(model: nn.Module, chosen: torch.memory_format) -> nn.Module:
    """Converts four-dimensional weights in place, and makes the data preprocessor hand over views in the format.

    Args:
        model: Algorithm, without the wrapper of distributed training.
        chosen: Memory format.

    Returns:
        ``model``.
    """
    preprocessor: Any = getattr(model, 'data_preprocessor', None)
    if hasattr(preprocessor, 'memory_format'):
        preprocessor.memory_format = chosen
    return model.to(memory_format=chosen)


@contextmanager
def contiguous_weights(model: nn.Module) -> Iterator[None]:
    """Makes the weights contiguous for a while, because random numbers fill a tensor in the order of its memory.

    The initial weights of a seed are then the same in every memory format.
    """
    formats = {parameter: parameter.data for parameter in model.parameters() if not parameter.is_contiguous()}
    for parameter in formats:
        parameter.data = parameter.data.contiguous()
    try:
        yield
    finally:
        for parameter, former in formats.items():
            parameter.data = former.copy_(parameter.data)


def contiguous_tensors(content: Any) -> Any:
    """Makes the tensors in dicts and lists of a checkpoint contiguous, so that files do not depend on the format.

    Args:
        content: Tensor, dict or list, nested to any depth; dicts and lists are changed in place, anything else is kept.

    Returns:
        ``content``, or the contiguous form of a tensor.
    """
    if isinstance(content, Tensor):
        return content.contiguous()
    if isinstance(content, dict):
        for key, value in content.items():
            content[key] = contiguous_tensors(value)
        return content
    if isinstance(content, list):
        content[:] = [contiguous_tensors(value) for value in content]
    return content


def align_optimizer_state(optim_wrapper: OptimWrapper) -> None:
    """Gives the tensors of an optimizer's state, which a checkpoint holds contiguous, the format of their parameters.

    Fused optimizers require it: they pass over the memory of parameter and state in parallel.
    """
    for parameter, state in optim_wrapper.optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
