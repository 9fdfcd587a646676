"""Transforms that run in the dataloader's workers: crop, resize, flip, and the draw of photometric programs."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
