"""A library that backbones are exported to: its names, its models, and how they are loaded."""

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
    """The names and the model of one kind of backbone in a library.

    Args:
        patterns: Pairs (regular expression of the whole name in mmssl, name in the library), as in ``Source``.
        model: Function of the backbone's config, as ``describe`` returns it. It returns the library's model that takes
            the tensors, as code or as the content of a config file, and raises ``UserError`` if there is none.
        prepare: Function of the backbone's tensors that returns those to which ``patterns`` apply; needed where one
            tensor becomes several.
    """

    patterns: tuple[tuple[str, str], ...]
    model: Callable[[Mapping[str, Any]], Any]
    prepare: Callable[[Tensors], Tensors] | None = None

    def rename(self, tensors: Tensors) -> dict[str, Tensor]:
        """Returns the backbone's tensors by the library's names.

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
class Library:
    """A library.

    Args:
        layouts: Kind of backbone, see ``architecture.kind`` -> its layout; ``'any'`` stands for all other kinds.
        usage: Function of (what ``Layout.model`` returned, path of the file) that returns a few lines of code which
            load the file.
        instead: Advice for a backbone that the library does not have, for messages.
        suffixes: Endings of the files that the library reads. ``''`` is a folder with ``model.safetensors`` and
            ``config.json``, which holds what ``Layout.model`` returned.
    """

    layouts: Mapping[str, Layout]
    usage: Callable[[Any, str], str]
    instead: str
    suffixes: tuple[str, ...] = ('.pth',)


def usage_of_tensors(library: str, model: str, file: str) -> str:
    """Returns code that runs ``model``, lines of code that build a model, and then loads a file of tensors."""
    module, load = ('safetensors.torch', 'load_file') if file.endswith('.safetensors') else ('torch', 'load')
    imports = sorted({'torch', library, module})
    return '\n'.join(
        [*(f'import {name}' for name in imports), '', f"{model}model.load_state_dict({module}.{load}('{file}'))"]
    )
