"""Optimizers, optimizer wrappers, and the constructor of their parameter groups."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
