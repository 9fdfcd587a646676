"""Description of a library to which backbones are exported: names, models, and code that loads them."""

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
        patterns: Pairs (regular expression for the whole name in mmssl, name in the library), as in ``Source``.
        model: Function: config of the backbone from ``describe`` -> the library's model for the tensors, as code or as
            the content of a config file. It raises ``UserError`` if there is no such model.
        prepare: Function: tensors of the backbone -> tensors to which ``patterns`` apply; needed if one tensor becomes
            several.
    """

    patterns: tuple[tuple[str, str], ...]
    model: Callable[[Mapping[str, Any]], Any]
    prepare: Callable[[Tensors], Tensors] | None = None

    def rename(self, tensors: Tensors) -> dict[str, Tensor]:
        """Returns the backbone's tensors by the library's names.

        Raises:
            UserError: No pattern matches the name of a tensor.
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
    """A library to which backbones are exported.

    Args:
        layouts: Kind of backbone, see ``architecture.kind`` -> layout; ``'any'`` means all other kinds.
        usage: Function: (result of ``Layout.model``, path of the file) -> a few lines of code that load the file.
        instead: Advice for a backbone that the library does not have, for messages.
        suffixes: Endings of the files that the library reads. ``''`` is a folder with ``model.safetensors`` and
            ``config.json``, which contains the result of ``Layout.model``.
    """

    layouts: Mapping[str, Layout]
    usage: Callable[[Any, str], str]
    instead: str
    suffixes: tuple[str, ...] = ('.pth',)


def num_channels(backbone: Mapping[str, Any]) -> int:
    """Returns the number of channels of the images of a backbone, from its config."""
    return backbone.get('in_channels', 3)


def output_stride(backbone: Mapping[str, Any]) -> int:
    """Returns the number of image pixels per pixel of the last map of a ResNet, from its config."""
    return backbone.get('output_stride', 32)


def channels_option(backbone: Mapping[str, Any], name: str) -> str:
    """Returns ``', NAME=N'`` for a backbone of N channels, nothing for 3 channels, which every library assumes."""
    return '' if num_channels(backbone) == 3 else f', {name}={num_channels(backbone)}'


def usage_of_tensors(library: str, model: str, file: str) -> str:
    """Returns code that builds a model, by the lines of code ``model``, and loads a file of tensors into it."""
    module, load = ('safetensors.torch', 'load_file') if file.endswith('.safetensors') else ('torch', 'load')
    imports = sorted({'torch', library, module})
    return '\n'.join(
        [*(f'import {name}' for name in imports), '', f'{model}model.load_state_dict({module}.{load}({file!r}))']
    )
