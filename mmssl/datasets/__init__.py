"""Datasets of images, samplers, and the transforms that run in the dataloader's workers."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
