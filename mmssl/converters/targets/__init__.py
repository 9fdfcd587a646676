"""One module per library that backbones are exported to, each with its ``TARGET``; a file is found by existing."""

from importlib import import_module
from pkgutil import iter_modules

from mmssl.converters.target import Target

TARGETS: dict[str, Target] = {
    module.name: import_module(f'{__name__}.{module.name}').TARGET for module in iter_modules(__path__)
}
