"""Automatic mixed precision on CPU and GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmssl.distributed.shards import whole
from mmssl.engine.optimizers.clipping import clip_each_norm_, clip_parts_, split_parts
from mmssl.registry import OPTIM_WRAPPERS

_DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPERS.register_module()
class MixedPrecisionOptimWrapper(OptimWrapper):
    """Runs the forward pass under autocast on the device of the parameters; bfloat16 needs no loss scaling.

    Gradients are accumulated and clipped as in MMEngine's ``OptimWrapper``. The norm of the gradient stays on the
    device, as the attribute ``grad_norm``, until the log is written. ``clip_grad=dict(max_norm=3.0, per_tensor=True)``
    clips the gradient of each parameter separately, see ``clip_each_norm_``. ``clip_grad=dict(max_norm=3.0,
    parts=[['backbone', 'mask_token'], 'neck'])`` clips the gradients of each part together, see ``clip_parts_``; a part
    is the beginning of the names of its parameters, or a list of these.

    Args:
        dtype: ``'bfloat16'``, ``'float16'`` (GPU only, with dynamic loss scaling) or None for full precision.
        **kwargs: Arguments of ``OptimWrapper``: ``optimizer``, ``accumulative_counts``, ``clip_grad``.

    Raises:
        ValueError: ``dtype`` is unknown, or it is ``'float16'`` and the parameters are not on a GPU, or ``clip_grad``
            has both ``per_tensor`` and ``parts``.
    """

    def __init__(self, dtype: str | None = 'bfloat16', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clip_parts = self.clip_grad_kwargs.pop('parts', None) if self.clip_grad_kwargs else None
        if self.clip_grad_kwargs and self.clip_grad_kwargs.pop('per_tensor', False):
            if self.clip_parts is not None:
                raise ValueError('clip_grad takes per_tensor=True or parts=[...], not both')
            self.clip_func = clip_each_norm_
        if dtype is not None and dtype not in _DTYPES:
            raise ValueError(f"dtype must be 'bfloat16', 'float16' or None, got {dtype!r}")
        self.device_type = self.optimizer.param_groups[0]['params'][0].device.type
        if dtype == 'float16' and self.device_type != 'cuda':
            raise ValueError(
                f"dtype='float16' needs a GPU, but the parameters are on {self.device_type!r}; use dtype='bfloat16'"
            )
        self.dtype = _DTYPES.get(dtype) if dtype else None
        self.loss_scaler = torch.amp.GradScaler(self.device_type, enabled=dtype == 'float16')
        self.grad_norm: Tensor | None = None

    def name_parameters(self, model: nn.Module) -> None:
        """Finds the parameters of each part of ``clip_grad.parts`` among those of ``model``.

        Raises:
            ValueError: A parameter belongs to no part, or a part has no parameter.
        """
        if self.clip_parts is not None:
            self.clip_func = partial(clip_parts_, split_parts(model, self.clip_parts))

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enables autocast, and disables gradient synchronisation between the accumulated batches of a step."""
        autocast = torch.autocast(self.device_type, dtype=self.dtype, enabled=self.dtype is not None)
        with super().optim_context(model), autocast:
            yield

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Computes the gradient of the scaled loss and adds it to the gradients."""
        self.loss_scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs: Any) -> None:
        """Clips the gradients if ``clip_grad`` is set, and makes an optimizer step.

        With float16, the step is skipped and the loss scale is lowered if a gradient overflowed.
        """
        # A fused optimizer can skip the update itself, but hooks of its step(), which move the teacher, would run.
        if self.loss_scaler.is_enabled():
            self.optimizer._step_supports_amp_scaling = False
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update()

    def _clip_grad(self) -> None:
        params = [p for group in self.optimizer.param_groups for p in group['params'] if p.grad is not None]
        self.grad_norm = whole(self.clip_func(params, **self.clip_grad_kwargs))

    def state_dict(self) -> dict:
        """Returns the state of the optimizer and, with float16, of the loss scaler."""
        state = super().state_dict()
        if self.loss_scaler.is_enabled():
            state['loss_scaler'] = self.loss_scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Restores the state from ``state_dict()``, also from a run in another precision."""
        scaler_state = state_dict.pop('loss_scaler', None)
        if scaler_state and self.loss_scaler.is_enabled():
            self.loss_scaler.load_state_dict(scaler_state)
        super().load_state_dict(state_dict)
