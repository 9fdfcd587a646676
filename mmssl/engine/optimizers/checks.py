"""Checks of an optimizer before the first step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import signature
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from mmssl.engine.optimizers.local_rate import check_param_options
from mmssl.engine.optimizers.mixed_precision import MixedPrecisionOptimWrapper
from mmssl.utils.errors import UserError


def checked_optim_wrapper(build: Callable[[Any], OptimWrapper], config: Any, model: nn.Module) -> OptimWrapper:
    """Builds an optimizer wrapper and checks that a run can learn with it; an lr of 0 is a warning in the log.

    Args:
        build: Function that builds the wrapper from ``config``.
        config: Config of the wrapper, or the wrapper itself.
        model: Model without the wrapper of distributed training.

    Raises:
        UserError: All parameters are frozen, there are several optimizers, or an argument of the optimizer is wrong.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f'{type(model).__name__} has no trainable parameters: all of them are frozen')
    try:
        built = build(config)
        if isinstance(built, OptimWrapperDict):
            raise ValueError('its constructor makes several optimizers, and a run has one')
        if isinstance(built, MixedPrecisionOptimWrapper):
            built.name_parameters(model)  # other constructors than mmssl's do not call it
    except ValueError as error:  # torch raises it for a negative lr, for example
        raise UserError(f'optim_wrapper: {error}') from error
    check_param_options(model, built.optimizer)
    try:
        if built.clip_grad_kwargs:
            signature(built.clip_func).bind([], **built.clip_grad_kwargs)
    except TypeError as error:
        raise UserError(f'optim_wrapper.clip_grad: {error}') from error
    momentum = max(group.get('momentum', 0) for group in built.param_groups)
    if momentum >= 1:  # torch accepts it
        raise UserError(f'optim_wrapper.optimizer.momentum must be below 1, or steps grow forever: {momentum}')
    if isinstance(config, dict) and not any(group['lr'] for group in built.param_groups):
        print_log('optim_wrapper.optimizer.lr is 0: the weights will not change', 'current', level=logging.WARNING)
    return built
