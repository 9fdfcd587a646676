"""Layers: building blocks and pure functions that have no role of their own in an algorithm."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
