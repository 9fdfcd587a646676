"""Backbones: images (N, 3, H, W) -> features; what is kept downstream."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
