"""Preprocessing: uint8 batches -> augmented, normalised batches on the device."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
