"""Layer-wise adaptive rate scaling."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from mmssl.distributed.shards import local_shard, local_shards, norms
from mmssl.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class LARS(Optimizer):
    r"""LARS (You et al., 2017, arXiv:1708.03888) as in the official codes of contrastive methods.

    With weight ``w``, gradient ``g`` and buffer ``v``: ``u = q (g + weight_decay w)``, where the trust ratio is
    ``q = trust_coefficient |w| / |g + weight_decay w|``, and 1 if either norm is 0. Then

    - ``lr_mode='post'`` (BYOL, MoCo v3, Barlow Twins, VICReg): ``v = momentum v + u``, ``w = w - lr v``;
    - ``lr_mode='classic'`` (SimCLR): ``v = momentum v + lr u``, ``w = w - v``.

    The two modes differ whenever the learning rate changes. With ``ratio='larc'`` (SwAV, DeepCluster-v2) the ratio is
    ``q = trust_coefficient |w| / (|g| + weight_decay |w| + 1e-8)``, and ``u = g`` without decay if either norm is 0.
    SwAV and DeepCluster-v2 set ``excluded=False``.

    By default, parameters of at most one dimension (biases and norms) are excluded: they get neither weight decay nor
    trust ratio. A parameter group can change this rule with the key ``excluded``. A step never waits for the device. It
    adds the weight decay to the gradients in place, so it needs no memory but the buffers.

    Args:
        params: Parameters or parameter groups.
        lr: Learning rate >= 0.
        momentum: Weight of the old buffer, in [0, 1).
        weight_decay: Coefficient of the L2 term >= 0.
        trust_coefficient: Factor of the trust ratio > 0.
        lr_mode: ``'post'`` or ``'classic'``, see above.
        ratio: ``'lars'`` or ``'larc'``, see above.
        excluded: True excludes all parameters from decay and ratio, False excludes none, None follows the rule above.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        lr_mode: str = 'post',
        ratio: str = 'lars',
        excluded: bool | None = None,
    ) -> None:
        if lr < 0 or weight_decay < 0 or trust_coefficient <= 0 or not 0 <= momentum < 1:
            raise ValueError(
                'LARS needs lr >= 0, weight_decay >= 0, trust_coefficient > 0 and momentum in [0, 1), got '
                f'lr={lr}, weight_decay={weight_decay}, trust_coefficient={trust_coefficient}, momentum={momentum}'
            )
        if lr_mode not in ('post', 'classic'):
            raise ValueError(f"lr_mode must be 'post' or 'classic', got {lr_mode!r}")
        if ratio not in ('lars', 'larc'):
            raise ValueError(f"ratio must be 'lars' or 'larc', got {ratio!r}")
        defaults = dict(
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            trust_coefficient=trust_coefficient,
            lr_mode=lr_mode,
            ratio=ratio,
            excluded=excluded,
        )
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Makes one step; parameters without gradient do not change and get no state."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group['params'] if p.grad is not None]
            excluded = [p.ndim <= 1 if group['excluded'] is None else group['excluded'] for p in params]
            plain = [p for p, out in zip(params, excluded) if out]
            scaled = [p for p, out in zip(params, excluded) if not out]
            if plain:
                self._apply(plain, None, group)
            if scaled:
                scale = larc_scale_ if group['ratio'] == 'larc' else lars_scale_
                self._apply(scaled, scale(scaled, group['weight_decay'], group['trust_coefficient']), group)
        return loss

    def _apply(self, params: list[Tensor], ratios: Tensor | None, group: dict) -> None:
        """Adds gradients times ``ratios`` to the momentum buffers and subtracts these from the parameters, in place."""
        buffers = []
        for p in params:
            state = self.state[p]
            if not state:
                state['momentum_buffer'] = torch.zeros_like(p)
            buffers.append(local_shard(state['momentum_buffer']))
        grads = local_shards(p.grad for p in params if p.grad is not None)
        post = group['lr_mode'] == 'post'
        factor = 1.0 if post else group['lr']
        torch._foreach_mul_(buffers, group['momentum'])
        if ratios is None:
            torch._foreach_add_(buffers, grads, alpha=factor)
        else:
            torch._foreach_addcmul_(buffers, grads, list((factor * ratios).unbind()))
        torch._foreach_add_(local_shards(params), buffers, alpha=-group['lr'] if post else -1.0)


def lars_scale_(params: list[Tensor], weight_decay: float, trust_coefficient: float) -> Tensor:
    """Adds weight decay to the gradients in place, and returns LARS's trust ratios.

    Args:
        params: P parameters that have a gradient.
        weight_decay: Coefficient of the L2 term.
        trust_coefficient: Factor of the trust ratio ``q``, see ``LARS``.

    Returns:
        (P,), the ratio ``q`` of each parameter.
    """
    grads = [p.grad for p in params if p.grad is not None]
    if weight_decay:
        torch._foreach_add_(local_shards(grads), local_shards(params), alpha=weight_decay)
    weight_norms, update_norms = norms(params), norms(grads)
    return torch.where((weight_norms > 0) & (update_norms > 0), trust_coefficient * weight_norms / update_norms, 1.0)


def larc_scale_(params: list[Tensor], weight_decay: float, trust_coefficient: float) -> Tensor:
    """Adds weight decay to the gradients in place where no norm is 0, and returns LARC's ratios, 1 elsewhere.

    Args:
        params: P parameters that have a gradient.
        weight_decay: Coefficient of the L2 term.
        trust_coefficient: Factor of the trust ratio ``q``, see ``LARS``.

    Returns:
        (P,), the ratio ``q`` of each parameter.
    """
    grads = [p.grad for p in params if p.grad is not None]
    weight_norms, grad_norms = norms(params), norms(grads)
    is_scaled = (weight_norms > 0) & (grad_norms > 0)
    ratios = trust_coefficient * weight_norms / (grad_norms + weight_decay * weight_norms + 1e-8)
    if weight_decay:
        decays = torch.where(is_scaled, weight_decay, 0.0).to(ratios.dtype)
        torch._foreach_addcmul_(local_shards(grads), local_shards(params), list(decays.unbind()))
    return torch.where(is_scaled, ratios, 1.0)
