"""Adaptive local learning rates as an option of parameter groups (Chen et al., 2020, arXiv:1912.13200, Eq. 12, 13)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from mmssl.distributed.shards import local_shard, norms
from mmssl.utils.errors import UserError


def use_local_rates(optimizer: Optimizer) -> None:
    r"""Makes an optimizer of any class apply the ``local_rate`` of its parameter groups.

    In a group with ``local_rate=eta``, the gradient ``g`` of each tensor of k elements is replaced before every step by
    ``eta sqrt(k) g / |g|``, in place. Momentum, weight decay and lr of the optimizer apply afterwards. A gradient of 0
    stays 0.

    At this time the gradient is complete: accumulated, averaged over the processes, unscaled and clipped. Deviation:
    the official code scales within the backward pass. There, loss scaling divides a gradient that did not grow with the
    loss, accumulation and averaging add unit vectors instead of gradients, and clipping by the global norm sees the
    scaled gradients. Without loss scaling, accumulation, clipping and several processes the two steps are equal.

    Args:
        optimizer: Optimizer; only groups with ``local_rate`` are changed, and the option may be added or removed later.
    """
    if not any(hook is _scale_gradients for hook in optimizer._optimizer_step_pre_hooks.values()):
        optimizer.register_step_pre_hook(_scale_gradients)


def check_param_options(model: nn.Module, optimizer: Optimizer) -> None:
    """Checks that the groups of the optimizer have the options that layers set with ``param_options``.

    Raises:
        UserError: The optimizer constructor ignored an option, so the layer would train with a wrong rate.
    """
    options = {id(param): group for group in optimizer.param_groups for param in group['params']}
    for name, asked in options_of_parameters(model).items():
        param = model.get_parameter(name)
        missing = sorted(set(asked) - set(options.get(id(param), asked)))
        if param.requires_grad and missing:
            raise UserError(
                f'the optimizer has no {", ".join(missing)} for {name}, which its layer needs: set '
                "optim_wrapper.constructor='mmssl.GroupedOptimWrapperConstructor'"
            )


def options_of_parameters(model: nn.Module) -> dict[str, dict[str, Any]]:
    """Returns name of a parameter -> options that its layer sets for its parameter group with ``param_options``."""
    return {
        f'{prefix}.{name}' if prefix else name: dict(options)
        for prefix, module in model.named_modules()
        for name, options in getattr(module, 'param_options', {}).items()
    }


@torch.no_grad()
def _scale_gradients(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    # A fused optimizer divides gradients by the loss scale within its step, after this hook.
    loss_scale = getattr(optimizer, 'grad_scale', None)
    for group in optimizer.param_groups:
        eta = group.get('local_rate')
        if eta is None:
            continue
        for param in group['params']:
            if param.grad is not None:
                norm = norms([param.grad])[0].clamp(min=1e-12)
                local_shard(param.grad).mul_(eta * param.numel() ** 0.5 / norm)
                if loss_scale is not None:
                    local_shard(param.grad).mul_(loss_scale)
