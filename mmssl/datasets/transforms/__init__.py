"""Transforms that run in the workers: decode, crop, flip."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
