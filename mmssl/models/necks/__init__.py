"""Necks: features -> embedding (N, D), tokens (N, L, D) or a pyramid."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
