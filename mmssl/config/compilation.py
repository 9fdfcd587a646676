"""What the key ``compile`` of a config may be."""

from __future__ import annotations

from typing import Any

from mmssl.utils.errors import UserError


def block_compile_options(value: Any) -> dict[str, Any] | None:
    """Options for ``torch.compile`` where ``compile`` of a config names the blocks; None where it is MMEngine's.

    Args:
        value: ``'blocks'``, ``dict(target='blocks', ...)`` with options of ``torch.compile``, or, for MMEngine, a bool,
            None or a dict without ``target``.

    Raises:
        UserError: It is anything else.
    """
    if value == 'blocks':
        return {}
    if isinstance(value, dict) and value.get('target') == 'blocks':
        return {key: option for key, option in value.items() if key != 'target'}
    if value is None or isinstance(value, bool) or isinstance(value, dict) and 'target' not in value:
        return None
    raise UserError(
        "compile takes 'blocks', dict(target='blocks', ...) with options of torch.compile, or what MMEngine takes: "
        f'True, False or a dict of such options for the whole train_step; got {value!r}'
    )
