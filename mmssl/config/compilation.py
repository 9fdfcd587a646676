"""The key ``compile`` of a config."""

from __future__ import annotations

from typing import Any

from mmssl.utils.errors import UserError


def block_compile_options(value: Any) -> dict[str, Any] | None:
    """Returns options of ``torch.compile`` if ``compile`` selects the blocks; None if MMEngine handles ``compile``.

    Args:
        value: Value of ``compile``: ``'blocks'``; ``dict(target='blocks', ...)`` with options of ``torch.compile``; or,
            for MMEngine, a bool, None or a dict without ``target``.

    Raises:
        UserError: ``value`` is anything else.
    """
    if value == 'blocks':
        return {}
    if isinstance(value, dict) and value.get('target') == 'blocks':
        return {key: option for key, option in value.items() if key != 'target'}
    if value is None or isinstance(value, bool) or isinstance(value, dict) and 'target' not in value:
        return None
    raise UserError(
        "compile takes 'blocks', dict(target='blocks', ...) with options of torch.compile, or a value of MMEngine: "
        f'True, False or a dict of such options for the whole train_step; got {value!r}'
    )
