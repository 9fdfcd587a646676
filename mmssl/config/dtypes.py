"""The names of the types of mixed precision; this module imports nothing slow, because every tool does."""

from __future__ import annotations

from mmssl.utils.errors import UserError

DTYPES = {'bf16': 'bfloat16', 'fp16': 'float16'}


def read_dtype(amp: str | None) -> str | None:
    """Returns the name of torch's dtype for mixed precision, ``'bfloat16'`` or ``'float16'``; None for None.

    Args:
        amp: Name of the dtype, or its short form ``'bf16'`` or ``'fp16'``.

    Raises:
        UserError: ``amp`` is another word.
    """
    dtype = DTYPES.get(amp, amp) if amp else None
    if dtype not in (None, *DTYPES.values()):
        raise UserError(f"mixed precision must be 'bf16' or 'fp16', got {amp!r}")
    return dtype
