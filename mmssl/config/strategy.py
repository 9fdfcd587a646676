"""The key ``strategy`` of a config."""

from __future__ import annotations

from typing import Any

from mmssl.utils.errors import UserError, did_you_mean

_OPTIONS = dict(param_dtype=None, reduce_dtype=None, reshard_after_forward=True, checkpoint='full')
_CHOICES: dict[str, tuple] = dict(
    param_dtype=(None, 'bfloat16'),
    reduce_dtype=(None, 'float32', 'bfloat16'),
    reshard_after_forward=(True, False),
    checkpoint=('full', 'sharded'),
)


def read_strategy(value: Any) -> dict[str, Any] | None:
    """Returns the options of sharded training if ``strategy`` asks for it; None for DistributedDataParallel.

    Args:
        value: Value of ``strategy``: None or ``'ddp'``; ``'fsdp2'``, or ``dict(type='fsdp2', ...)`` with

            - ``param_dtype='bfloat16'``: the blocks gather their weights and compute in this type;
            - ``reduce_dtype``: type in which gradients are averaged over processes, None for that of the gradients;
            - ``reshard_after_forward=False``: keeps the weights of the blocks until the backward pass: more memory, and
              one gather less;
            - ``checkpoint='sharded'``: every process writes its shards into a folder ``epoch_N.pth``, instead of the
              first process all weights into a file.

    Raises:
        UserError: ``value`` is anything else.
    """
    if value in (None, 'ddp', {'type': 'ddp'}):
        return None
    given = dict(value) if isinstance(value, dict) else {'type': value}
    if given.pop('type', None) != 'fsdp2':
        raise UserError(f"strategy takes 'ddp', 'fsdp2' or dict(type='fsdp2', ...), got {value!r}")
    for key, option in given.items():
        if key not in _OPTIONS:
            raise UserError(
                f'strategy has no option {key!r}{did_you_mean(key, _OPTIONS)}; it has {", ".join(_OPTIONS)}'
            )
        if option not in _CHOICES[key]:
            raise UserError(f'strategy.{key} takes {" or ".join(map(repr, _CHOICES[key]))}, got {option!r}')
    return {**_OPTIONS, **given}
