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
        renamed, without = {}, []
        for name, tensor in tensors.items():
            theirs = self._name(name)
            if theirs is None:
                without.append(name)
            else:
                renamed[theirs] = tensor
        if without:
            raise UserError(f'the library has no place for {len(without)} tensors: {", ".join(without[:5])}')
        return renamed

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
        suffixes: Endings of the files that the library reads; ``''`` for a folder of ``config.json``, which holds what
            a layout's model returned, and ``model.safetensors``.
    """

    layouts: Mapping[str, Layout]
    usage: Callable[[Any, str], str]
    instead: str
    suffixes: tuple[str, ...] = ('.pth',)


def usage_of_tensors(library: str, model: str, file: str) -> str:
    """Code that builds ``model``, lines of code themselves, and loads a file of tensors into it."""
    module, load = ('safetensors.torch', 'load_file') if file.endswith('.safetensors') else ('torch', 'load')
    imports = sorted({'torch', library, module})
    return '\n'.join(
        [*(f'import {name}' for name in imports), '', f"{model}model.load_state_dict({module}.{load}('{file}'))"]
    )
