"""The repeated blocks of a model: compiled one by one, or computed twice to save memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmssl.utils.errors import UserError


def find_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """Returns, by name, the elements of every list in ``model`` whose name ends with ``blocks`` or ``layers``.

    Only elements that consist of several modules count: the layers of an MLP are no blocks. Of nested lists, such as
    the blocks in the stages of a Swin transformer, the innermost counts. Blocks with a batch norm are left out: its
    statistics may not be updated twice, nor its communication be compiled.
    """
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if isinstance(module, (nn.Sequential, nn.ModuleList)) and name.endswith(('blocks', 'layers')):
            found |= {f'{name}.{index}': block for index, block in module.named_children() if any(block.children())}
    return {
        name: block
        for name, block in found.items()
        if not any(other.startswith(f'{name}.') for other in found)
        and not any(isinstance(part, _BatchNorm) for part in block.modules())
    }


def compile_blocks(model: nn.Module, **options: Any) -> int:
    """Compiles every block of ``model`` in place, so that the names of its parameters stay; returns their number.

    Blocks of one class, shape and setting share their code, which is compiled when the first of them is called.
    Shapes are static, so the first call with other shapes, in evaluation or on a last, smaller batch, compiles again.

    Args:
        model: The algorithm, not the wrapper of distributed training.
        **options: Those of ``torch.compile``, ``backend`` or ``mode`` for instance; ``dynamic`` is False by default.

    Raises:
        UserError: The model has no blocks.
    """
    blocks = _required_blocks(model, "compile='blocks'")
    # Blocks may differ in numbers that are compiled in, such as the rate of stochastic depth; each is called with and
    # without gradient and with a few shapes. Past the limit torch would silently return to eager mode.
    config: Any = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, 8 * len(blocks))
    config.accumulated_recompile_limit = max(config.accumulated_recompile_limit, 8 * len(blocks))
    options = {'dynamic': False, **options}
    for block in blocks.values():
        block.compile(**options)
    return len(blocks)


def checkpoint_blocks(model: nn.Module) -> int:
    """Makes every block that trains keep its inputs alone, and run again in the backward pass; returns their number.

    Args:
        model: The algorithm, not the wrapper of distributed training.

    Raises:
        UserError: The model has no blocks.
    """
    blocks = _required_blocks(model, 'checkpoint_blocks=True')
    trained = [block for block in blocks.values() if any(p.requires_grad for p in block.parameters())]
    for block in trained:
        block.forward = _run_twice(block.forward)  # type: ignore[method-assign]
    return len(trained)


def _run_twice(forward: Callable) -> Callable:
    @wraps(forward)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return wrapper


def _required_blocks(model: nn.Module, key: str) -> dict[str, nn.Module]:
    blocks = find_blocks(model)
    if not blocks:
        raise UserError(
            f"{key} found no blocks in {type(model).__name__}: they are looked for in lists called 'blocks' or "
            "'layers', as transformers have them, and blocks with batch norms are left out"
        )
    return blocks
