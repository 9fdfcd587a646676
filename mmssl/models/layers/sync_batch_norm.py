"""Batch normalisation over all processes, on any device."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.distributed.collectives import gather, world_size
from mmssl.registry import LAYERS


@LAYERS.register_module()
class SyncBatchNorm(_BatchNorm):
    """Normalises with mean and variance over the batches of all processes, as ``torch.nn.SyncBatchNorm`` does on GPUs.

    torch's layer does not run on CPU. Statistics are computed in float32 (or float64), in two passes over the batch of
    each process, and gathered in one collective that carries gradient. The running variance averages the unbiased
    variance of the global batch.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f'SyncBatchNorm takes (N, C, ...), got {tuple(input.shape)}')

    def forward(self, input: Tensor) -> Tensor:
        """Normalises (N, C, ...) per channel; in evaluation mode with the running statistics."""
        use_batch = self.training or self.running_mean is None
        if world_size() == 1 or not use_batch:
            return super().forward(input)
        self._check_input_dim(input)
        x = input.double() if input.dtype == torch.float64 else input.float()
        dims = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)

        # Each process gives mean and sum of squared deviations of its own batch (Chan et al., 1979): one collective.
        count = x.new_tensor([x.numel() / x.shape[1]])
        own_mean = x.mean(dims)
        own_squares = (x - own_mean.view(shape)).square().sum(dims)
        means, squares, counts = gather(torch.cat([own_mean, own_squares, count])[None]).split(
            [x.shape[1], x.shape[1], 1], dim=1
        )
        counts = counts.detach()
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        var = (squares + counts * (means - mean).square()).sum(0) / count
        if self.training and self.track_running_stats:
            self._update_running(mean.detach(), var.detach() * count / (count - 1))

        out = (x - mean.view(shape)) * (var + self.eps).rsqrt().view(shape)
        if self.affine:
            out = out * self.weight.view(shape)
        if self.bias is not None:  # a norm may have a scale and no offset
            out = out + self.bias.view(shape)
        return out.to(input.dtype)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(var.to(self.running_var.dtype), weight)


def is_synchronised(module: nn.Module) -> bool:
    """Returns whether a layer, of torch, mmcv or mmssl, shares norm statistics among processes."""
    return 'SyncBatchNorm' in type(module).__name__


def convert_sync_batchnorm(module: nn.Module, second_order: bool = False) -> nn.Module:
    """Replaces batch norms with ``torch.nn.SyncBatchNorm`` on a GPU, and with ``SyncBatchNorm`` of this file elsewhere.

    With one process nothing changes. torch's layer, which configs of mmseg name, is replaced too if it is not on a GPU.
    A module with the attribute ``sync = False`` and its submodules are not changed. Parameters and buffers are reused,
    not copied.

    Args:
        module: Module to convert, already on its device.
        second_order: Whether gradients are differentiated again, which torch's layer cannot do; True uses
            ``SyncBatchNorm`` of this file everywhere.

    Returns:
        ``module``, or its replacement if it is itself a batch norm.
    """
    if world_size() == 1 or not getattr(module, 'sync', True):
        return module
    if isinstance(module, _BatchNorm):
        native = _on_gpu(module) and not second_order
        done = isinstance(module, (SyncBatchNorm, nn.SyncBatchNorm) if native else SyncBatchNorm)
        return module if done else _synchronised(module, native)
    for name, child in module.named_children():
        setattr(module, name, convert_sync_batchnorm(child, second_order))
    return module


def _synchronised(norm: _BatchNorm, native: bool) -> _BatchNorm:
    has_both_or_none = (norm.weight is None) == (norm.bias is None)  # torch's kernels need weight and bias, or neither
    new = (nn.SyncBatchNorm if native and has_both_or_none else SyncBatchNorm)(
        norm.num_features, norm.eps, norm.momentum, affine=False, track_running_stats=False
    )
    new.affine, new.track_running_stats, new.training = norm.affine, norm.track_running_stats, norm.training
    new.weight, new.bias = norm.weight, norm.bias
    for name in ('running_mean', 'running_var', 'num_batches_tracked'):
        setattr(new, name, getattr(norm, name))
    return new


def _on_gpu(norm: _BatchNorm) -> bool:
    tensors = [*norm.parameters(recurse=False), *norm.buffers(recurse=False)]
    return tensors[0].is_cuda if tensors else torch.cuda.is_available()
