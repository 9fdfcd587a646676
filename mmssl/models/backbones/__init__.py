"""Backbones: images (N, 3, H, W) -> features; the part that benchmarks use."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
