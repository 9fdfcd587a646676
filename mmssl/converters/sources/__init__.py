"""Official codes: every module in this folder defines one as ``SOURCE``."""

from importlib import import_module
from pkgutil import iter_modules

from mmssl.converters.source import Source

SOURCES: dict[str, Source] = {}
for _module in iter_modules(__path__):
    _source = import_module(f'{__name__}.{_module.name}').SOURCE
    SOURCES |= dict.fromkeys((_module.name, *_source.aliases), _source)
