"""The key ``compile`` of a config."""

from __future__ import annotations

from typing import Any

import torch

from mmssl.config.values import wrong_values
from mmssl.utils.errors import UserError, did_you_mean

_OPTIONS = ('backend', 'disable', 'dynamic', 'fullgraph', 'mode', 'options')


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


def check_compilation(value: Any) -> None:
    """Checks the key ``compile`` of a config; compiles nothing.

    Raises:
        UserError: ``value`` is of no form that ``block_compile_options`` takes, or ``torch.compile`` does not take its
            options.
    """
    options = block_compile_options(value)
    options = options if options is not None else value
    if not isinstance(options, dict) or not options:
        return
    for key in options.keys() - set(_OPTIONS):
        hint = did_you_mean(key, _OPTIONS) or f'; it has {", ".join(_OPTIONS)}'
        raise UserError(f'compile: torch.compile has no option {key!r}{hint}')
    for problem in wrong_values(options, 'compile', torch.compile):
        raise UserError(problem)
    try:
        torch.compile(lambda: None, **options)  # looks up backend and mode, and waits for a call before it compiles
    except Exception as error:  # of types that torch does not document
        raise UserError(f'compile: {error}') from error
