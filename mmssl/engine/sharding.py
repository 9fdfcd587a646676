"""Sharded training: every process holds a share of weights, gradients and optimizer state (PyTorch's FSDP2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.optim import SGD, Optimizer

from mmssl.distributed.collectives import world_size
from mmssl.distributed.shards import local_shard, shard_like, whole
from mmssl.distributed.unwrap import unwrap
from mmssl.engine.compilation import find_blocks
from mmssl.utils.errors import UserError

# Methods other than forward that the engine and the evaluation call.
_ENTRANCES = ('extract_feat', 'label_features', 'label_scores', 'predict', 'reconstruct')


def check_shardable(runner: Runner) -> None:
    """Checks that nothing in the config of a run needs the whole model in every process.

    Raises:
        UserError: Something does.
    """
    reason = None
    if runner.cfg.get('micro_batch') is not None:
        reason = 'micro_batch: use checkpoint_blocks=True'
    elif runner.cfg.get('model_wrapper_cfg'):
        reason = 'model_wrapper_cfg, whose arguments are those of DistributedDataParallel'
    elif any(isinstance(hook, EMAHook) for hook in runner.hooks):
        reason = 'EMAHook, which copies the whole model'
    elif getattr(unwrap(runner.model), 'second_order', False):
        reason = f'{runner.model_name}, whose loss contains gradients'
    elif getattr(getattr(runner.optim_wrapper, 'loss_scaler', None), 'is_enabled', bool)():
        reason = 'float16: use --amp bf16'
    if reason:
        raise UserError(f"strategy='fsdp2' does not support {reason}")


def shard(
    model: nn.Module, optim_wrapper: OptimWrapper, options: dict[str, Any], mesh: DeviceMesh | None = None
) -> int:
    """Shards a model that is ready to train and the state of its optimizer, in place.

    Each block of student and teacher gathers its weights when it runs and frees them afterwards; what is in no block is
    gathered once per step. The teacher is sharded like the student, so its average is one of shards. Names in state
    dicts do not change. The optimizer keeps its groups and hooks, and its parameters become shards.

    Args:
        model: Algorithm, the same on every process: initialised, or loaded from a checkpoint.
        optim_wrapper: Wrapper of the optimizer of the model, with or without state.
        options: Options of ``read_strategy``.
        mesh: Processes that share the model; None means all.

    Returns:
        Number of blocks.

    Raises:
        UserError: A parameter is a scalar, which cannot be sharded.
    """
    scalars = [name for name, parameter in model.named_parameters() if parameter.ndim == 0]
    if scalars:
        raise UserError(f"strategy='fsdp2' cannot shard the scalar {scalars[0]}: make it a vector of one element")
    before = dict(model.named_parameters())
    for parameter in before.values():
        parameter.data = parameter.data.contiguous()  # rows are shared, in whatever format the model computes
    device = next(iter(before.values())).device.type
    dtypes = {key: options[key] and getattr(torch, options[key]) for key in ('param_dtype', 'reduce_dtype')}
    mesh = mesh or init_device_mesh(device, (world_size(),))
    blocks = find_blocks(model, with_norms=True)
    for block in blocks.values():
        # No backward pass would free the weights of a teacher's block.
        frees = options['reshard_after_forward'] or not any(p.requires_grad for p in block.parameters())
        fully_shard(block, mesh=mesh, mp_policy=MixedPrecisionPolicy(**dtypes), reshard_after_forward=frees)
    fully_shard(model, mesh=mesh)
    for name in _ENTRANCES:
        if hasattr(model, name):
            register_fsdp_forward_method(model, name)
    _shard_optimizer(optim_wrapper.optimizer, before, dict(model.named_parameters()))
    if hasattr(optim_wrapper, 'name_parameters'):
        optim_wrapper.name_parameters(model)  # to clip parts of the model it holds parameters, too
    return len(blocks)


def _shard_optimizer(optimizer: Optimizer, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """Replaces the parameters of an optimizer by their shards, and shards the tensors of their states alike."""
    new = {id(parameter): after[name] for name, parameter in before.items()}
    for group in optimizer.param_groups:
        group['params'] = [new[id(parameter)] for parameter in group['params']]
        if isinstance(optimizer, SGD):
            group['fused'] = False  # torch's fused kernel of SGD does not take shards, that of Adam does
    states = dict(optimizer.state)
    optimizer.state.clear()
    for parameter, state in states.items():
        optimizer.state[new[id(parameter)]] = {
            key: shard_like(value.contiguous(), new[id(parameter)])
            if isinstance(value, Tensor) and value.shape == parameter.shape
            else value
            for key, value in state.items()
        }


def is_sharded(model: nn.Module) -> bool:
    """Returns whether ``shard`` was called."""
    return isinstance(model, FSDPModule)


def whole_state(state: Any, keep: bool) -> Any:
    """Returns a copy of a state dict, with nested dicts and lists, whose tensors are whole and on the CPU.

    Args:
        state: State dict; every process must call this with its own.
        keep: Whether this process wants the result; otherwise the tensors are gathered and dropped.
    """
    if isinstance(state, dict):
        return {key: whole_state(value, keep) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(whole_state(value, keep) for value in state)
    if not isinstance(state, Tensor):
        return state
    tensor = whole(state.detach())
    return tensor.cpu() if keep else None


def reshard(model: nn.Module) -> None:
    """Frees whole weights that an evaluation without a backward pass has left, so that ``model`` has its shards."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


@contextmanager
def whole_parameters(model: nn.Module, part: nn.Module) -> Iterator[None]:
    """Gives ``part`` whole parameters inside a ``with`` block, and takes this process's shards of them at the end.

    It is for changes outside of training steps, such as a reset of a classifier to random weights. Every process must
    make the same change. Nothing happens if the model is not sharded.

    Args:
        model: Algorithm.
        part: The algorithm or a module in it.
    """
    reshard(model)
    held = [
        (owner, name, parameter)
        for owner in part.modules()
        for name, parameter in owner.named_parameters(recurse=False)
        if isinstance(parameter, DTensor)
    ]
    for owner, name, parameter in held:
        owner._parameters[name] = nn.Parameter(whole(parameter.detach()), parameter.requires_grad)
    try:
        yield
    finally:
        for owner, name, parameter in held:
            changed = owner._parameters[name]
            assert changed is not None
            local_shard(parameter.detach()).copy_(local_shard(shard_like(changed.detach(), parameter)))
            owner._parameters[name] = parameter
