"""The learning rate for another batch size than that of the recipe."""

from __future__ import annotations

from mmengine.logging import print_log
from mmengine.optim import OptimWrapper

from mmssl.utils.errors import UserError


def scale_lr(
    optim_wrapper: OptimWrapper, batch_size: int, base_batch_size: int | None = None, rule: str = 'linear'
) -> None:
    """Scales the lr of an optimizer, in place, from the batch size of the recipe to that of a run.

    Args:
        optim_wrapper: Wrapper of the optimizer.
        batch_size: Images per optimizer step of the run, over all processes and accumulated batches.
        base_batch_size: Images per optimizer step in the recipe.
        rule: ``'linear'`` multiplies the lr by ``batch_size / base_batch_size``, ``'sqrt'`` by its square root.

    Raises:
        UserError: ``rule`` is unknown, or ``base_batch_size`` is missing.
    """
    if rule not in ('linear', 'sqrt') or base_batch_size is None:
        got = dict(base_batch_size=base_batch_size, rule=rule)
        raise UserError(f"auto_scale_lr needs base_batch_size and the rule 'linear' or 'sqrt', got {got}")
    factor = (batch_size / base_batch_size) ** (1 if rule == 'linear' else 0.5)
    before = optim_wrapper.get_lr()['lr'][0]
    for group in optim_wrapper.param_groups:
        group['lr'] *= factor
    after = optim_wrapper.get_lr()['lr'][0]
    message = f'lr {before:g} for batch size {base_batch_size} -> {after:g} for batch size {batch_size} ({rule} rule)'
    print_log(message, 'current')
