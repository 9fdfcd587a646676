"""Libraries to which backbones are exported: every module in this folder defines one as ``LIBRARY``."""

from importlib import import_module
from pkgutil import iter_modules

from mmssl.converters.library import Library

LIBRARIES: dict[str, Library] = {
    module.name: import_module(f'{__name__}.{module.name}').LIBRARY for module in iter_modules(__path__)
}
