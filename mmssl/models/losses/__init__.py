"""Losses: tensors -> scalar; a pure function and, under it, the module that holds its numbers."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
