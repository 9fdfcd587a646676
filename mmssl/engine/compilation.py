"""Compiles the repeated blocks of a model one by one, or checkpoints their activations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmssl.utils.errors import UserError


def find_blocks(model: nn.Module, with_norms: bool = False) -> dict[str, nn.Module]:
    """Returns name -> module of the repeated blocks of ``model``.

    Blocks are the elements of every ``Sequential`` or ``ModuleList`` whose name ends with ``blocks`` or ``layers``. An
    element must have submodules, so the layers of an MLP do not count. Of nested lists, such as the blocks in the
    stages of a Swin transformer, only the innermost counts.

    Args:
        model: Algorithm.
        with_norms: Whether blocks with a batch norm count, and those of a ResNet (``layer1`` to ``layer4``). To run
            them twice would update the statistics twice, and the communication of a synchronised norm cannot be
            compiled.
    """
    found: dict[str, nn.Module] = {}
    ends = ('blocks', 'layers', *(f'layer{i}' for i in range(1, 5))) if with_norms else ('blocks', 'layers')
    for name, module in model.named_modules():
        if isinstance(module, (nn.Sequential, nn.ModuleList)) and name.endswith(ends):
            found |= {f'{name}.{index}': block for index, block in module.named_children() if any(block.children())}
    return {
        name: block
        for name, block in found.items()
        if not any(other.startswith(f'{name}.') for other in found)
        and (with_norms or not any(isinstance(part, _BatchNorm) for part in block.modules()))
    }


def compile_blocks(model: nn.Module, **options: Any) -> int:
    """Compiles every block of ``model`` in place, so that the names of its parameters do not change.

    Blocks of the same class, shape and settings share compiled code. It is compiled when the first of them is called.
    Shapes are static, so a call with other shapes, in evaluation or on a smaller last batch, compiles again.

    Args:
        model: Algorithm, without the wrapper of distributed training.
        **options: Options of ``torch.compile``, such as ``backend`` or ``mode``; ``dynamic`` is False by default.

    Returns:
        Number of blocks.

    Raises:
        UserError: The model has no blocks.
    """
    blocks = _required_blocks(model, "compile='blocks'")
    # Blocks can differ in constants of the compiled code, such as the rate of stochastic depth, and each one is called
    # with and without gradient and with a few shapes. Beyond its limit torch would silently fall back to eager mode.
    config: Any = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, 8 * len(blocks))
    config.accumulated_recompile_limit = max(config.accumulated_recompile_limit, 8 * len(blocks))
    options = {'dynamic': False, **options}
    for block in blocks.values():
        block.compile(**options)
    return len(blocks)


def checkpoint_blocks(model: nn.Module) -> int:
    """Makes every trainable block store only its inputs and run again in the backward pass, to save memory.

    Args:
        model: Algorithm, without the wrapper of distributed training.

    Returns:
        Number of these blocks.

    Raises:
        UserError: The model has no blocks.
    """
    blocks = _required_blocks(model, 'checkpoint_blocks=True')
    trained = [block for block in blocks.values() if any(p.requires_grad for p in block.parameters())]
    for block in trained:
        # A bound method and not a closure: a deep copy of the block then runs itself, and not this block.
        block.forward = partial(_run_twice, block.forward)  # type: ignore[method-assign]
    return len(trained)


def _run_twice(forward: Callable, *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)


def _required_blocks(model: nn.Module, key: str) -> dict[str, nn.Module]:
    blocks = find_blocks(model)
    if not blocks:
        raise UserError(
            f"{key} found no blocks in {type(model).__name__}: blocks are the elements of lists named 'blocks' or "
            "'layers', as in transformers, without batch norms"
        )
    return blocks
