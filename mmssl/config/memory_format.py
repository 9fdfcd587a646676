"""The key ``memory_format`` of a config."""

from __future__ import annotations

import torch

from mmssl.utils.errors import UserError

FORMATS = dict(auto=None, channels_last=torch.channels_last, contiguous=torch.contiguous_format)


def memory_format(value: str | None) -> torch.memory_format | None:
    """Returns the memory format of a value of ``memory_format``; None for ``'auto'``, the value of a missing key.

    Raises:
        UserError: ``value`` is not one of ``FORMATS``.
    """
    value = 'auto' if value is None else value
    if not isinstance(value, str) or value not in FORMATS:
        raise UserError(f'memory_format must be one of {", ".join(map(repr, FORMATS))}, got {value!r}')
    return FORMATS[value]
