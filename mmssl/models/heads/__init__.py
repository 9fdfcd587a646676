"""Heads: (prediction, target, ...) -> scalar; what owns parameters beside a loss."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
