"""What the converters know of a library that backbones are exported to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmssl.converters.source import Tensors
from mmssl.utils.errors import UserError


@dataclass(frozen=True)
class Layout:
    """How a library holds one kind of backbone.

    Args:
        patterns: (regular expression of our whole name, the library's name) as in ``Source``.
        model: Config of the backbone, as ``describe`` gives it, -> the library's model that the tensors fit. What that
            is, is up to the target: code, or the contents of a config file. Raises UserError where there is none.
        prepare: Tensors of the backbone -> tensors to which the patterns apply, for names that become several.
    """

    patterns: tuple[tuple[str, str], ...]
    model: Callable[[Mapping[str, Any]], Any]
    prepare: Callable[[Tensors], Tensors] | None = None

    def rename(self, tensors: Tensors) -> dict[str, Tensor]:
        """The backbone's tensors by the library's names.

        Raises:
            UserError: The library has no place for some of them.
        """
        tensors = tensors if self.prepare is None else self.prepare(tensors)
        renamed = {name: self._name(name) for name in tensors}
        without = [name for name, theirs in renamed.items() if theirs is None]
        if without:
            raise UserError(f'the library has no place for {len(without)} tensors: {", ".join(without[:5])}')
        return {renamed[name]: tensor for name, tensor in tensors.items()}

    def _name(self, ours: str) -> str | None:
        matches = ((re.fullmatch(pattern, ours), theirs) for pattern, theirs in self.patterns)
        return next((match.expand(theirs) for match, theirs in matches if match), None)


@dataclass(frozen=True)
class Target:
    """A library.

    Args:
        layouts: Kind of backbone, see ``architecture.kind``, -> how the library holds it; ``'any'`` for all others.
        usage: (what a layout's ``model`` returned, path of the file) -> how to load the file, in a few lines of code.
        instead: What to do with a backbone that the library does not have, for messages.
        is_folder: The library reads a folder with ``config.json``, which holds what ``model`` returned, and
            ``model.safetensors``; else one file of tensors.
    """

    layouts: Mapping[str, Layout]
    usage: Callable[[Any, str], str]
    instead: str
    is_folder: bool = False
